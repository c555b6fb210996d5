"""Interfaces and their addresses, through pyroute2.

Rule: what we add we can name again, so that only that is removed.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any, Final

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from remainder.errors import HostError
from remainder.flow import Address

_IFF_PROMISC: Final = 0x100
_SIOCADDMULTI: Final = 0x8931
_SIOCDELMULTI: Final = 0x8932
_IFA_F_NODAD: Final = 0x02
_IFA_F_NOPREFIXROUTE: Final = 0x200
_FOR_EVER: Final = 0xFFFF_FFFF
_IFF_LOWER_UP: Final = 0x1_0000
_MULTICAST_LISTS: Final = Path("/proc/thread-self/net/dev_mcast")
_HOLDS_ADDRESSES: Final = ("bridge", "bond", "team")
FAMILY: Final = {4: 2, 6: 10}
OURS: Final = 114
"""The protocol number, ``r``, of neighbours and addresses that Remainder has put there."""
ETHERNET: Final = 1
"""ARPHRD_ETHER: the kind of hardware whose frames begin with MAC addresses."""
_FIB_MATCH: Final = 0x2000  # RTM_F_FIB_MATCH
_UNICAST: Final = 1  # RTN_UNICAST
_FULL_PREFIX: Final = {4: 32, 6: 128}


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface as it is now."""

    index: int
    name: str
    mac: bytes
    mtu: int
    up: bool
    kind: str | None  # "veth", "vlan", …; None for hardware
    xdp_mode: str | None
    xdp_program: int | None
    carrier: bool = True
    """Whether frames can pass: it is up, and so is the cable."""
    ethernet: bool = True
    """Whether its frames begin with MAC addresses."""
    promiscuous: bool = False
    holder: int | None = None
    """The bridge or bond that it is a port of, which holds its addresses and hears its ARP."""
    vlan: int | None = None
    """The VLAN it serves, if its frames are tagged; ``above`` is the interface of that VLAN."""
    above: int | None = None

    @property
    def segment(self) -> int:
        """The number of the interface whose addresses and neighbours are those of the segment."""
        return self.above or self.holder or self.index


@contextmanager
def netlink() -> Iterator[IPRoute]:
    """A connection to the kernel's network configuration; its errors become HostErrors."""
    try:
        with IPRoute() as route:
            yield route
    except NetlinkError as error:
        raise HostError(f"the kernel's network configuration: {error.args[-1]}") from None
    except OSError as error:
        cure = (
            "; the neighbour table is full, raise net.ipv4.neigh.default.gc_thresh3 and "
            "net.ipv6.neigh.default.gc_thresh3"
            if error.errno == errno.ENOBUFS
            else ""
        )
        words = os.strerror(error.errno) if error.errno else str(error)
        raise HostError(f"the kernel's network configuration: {words}{cure}") from None


def interface(name: str) -> Interface:
    """Look an interface up.  Raises HostError if there is none of that name."""
    with netlink() as route:
        found = route.link_lookup(ifname=name)
        if not found:
            names = ", ".join(sorted(link.get("ifname") for link in route.get_links()))
            raise HostError(
                f"no interface named {name!r} on this host, which has {names}; fix --interface or "
                f"the file",
                id="interface-missing",
            )
        return _under(route, route.get_links(found[0])[0])


def interface_at(index: int) -> Interface:
    """Look an interface up by its number.  Raises HostError if it is gone."""
    with netlink() as route:
        try:
            link = route.get_links(index)[0]
        except (NetlinkError, IndexError):
            raise HostError(f"interface {index} no longer exists", id="interface-gone") from None
        return _under(route, link)


def _under(route: IPRoute, link: Any) -> Interface:
    """An interface, with the bridge or bond that holds its addresses."""
    found, master = interface_of(link), link.get("master")
    if master is None:
        return found
    try:
        kind = interface_of(route.get_links(master)[0]).kind
    except (NetlinkError, IndexError):
        return found  # released in this moment
    return replace(found, holder=master) if kind in _HOLDS_ADDRESSES else found


def interface_of(link: Any) -> Interface:
    """What a message of the kernel says of an interface."""
    info = link.get("linkinfo")
    xdp = link.get("xdp")
    native = xdp.get("xdp_drv_prog_id") if xdp else None
    generic = xdp.get("xdp_skb_prog_id") if xdp else None
    return Interface(
        index=link["index"],
        name=link.get("ifname"),
        mac=mac_from(link.get("address")) or bytes(6),
        mtu=link.get("mtu") or 0,
        up=bool(link["flags"] & 1),
        kind=info.get("kind") if info else None,
        xdp_mode="native" if native else "generic" if generic else None,
        xdp_program=native or generic,
        carrier=bool(link["flags"] & _IFF_LOWER_UP),
        promiscuous=bool(link["flags"] & _IFF_PROMISC),
        ethernet=link["ifi_type"] == ETHERNET,
    )


def mac_from(written: str | None) -> bytes | None:
    """A hardware address as pyroute2 writes it; None of a tunnel, where it is an IP address."""
    return bytes.fromhex(written.replace(":", "")) if written and ":" in written else None


def addresses_on(index: int) -> dict[Address, bool]:
    """Every address of an interface, and whether Remainder has put it there."""
    with netlink() as route:
        return {
            ip_address(message.get("local") or message.get("address")): message.get("proto") == OURS
            for message in route.get_addr(index=index)
        }


def networks_on(index: int) -> list[IPv4Network | IPv6Network]:
    """The ranges of an interface's segment, link-local ones among them, each once."""
    with netlink() as route:
        return list(
            dict.fromkeys(
                ip_network(
                    f"{message.get('local') or message.get('address')}/{message['prefixlen']}",
                    strict=False,
                )
                for message in route.get_addr(index=index)
                if message["prefixlen"] != _FULL_PREFIX[4 if message["family"] == FAMILY[4] else 6]
            )
        )


def hears(interface: Interface, mac: bytes) -> bool:
    """Whether an interface takes frames to another address than its own."""
    if interface.promiscuous:
        return True
    try:
        lines = _MULTICAST_LISTS.read_text(encoding="ascii").splitlines()
    except OSError as error:
        raise HostError(f"reading {_MULTICAST_LISTS}: {error.strerror}") from None
    fields = (line.split() for line in lines)
    return any(
        int(index) == interface.index and int(joined) and bytes.fromhex(address) == mac
        for index, _, _, joined, address in fields
    )


def listen_to(interface: Interface, mac: bytes, *, join: bool) -> bool:
    """Let an interface take frames to another address than its own, or no longer.

    A group address joins the device's own list (SIOCADDMULTI), for another one
    the interface becomes promiscuous; both stay when we go, so the data plane
    outlives us.  False: that is how it was.
    """
    if join and hears(interface_at(interface.index), mac):
        return False
    if not mac[0] & 1:
        with netlink() as route:
            flag = _IFF_PROMISC if join else 0
            route.link("set", index=interface.index, flags=flag, change=_IFF_PROMISC)
        return True
    request = struct.pack("16sH6s16x", interface.name.encode(), 0, mac)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            fcntl.ioctl(any_socket, _SIOCADDMULTI if join else _SIOCDELMULTI, request)
        except OSError as error:
            if not join:
                return False  # it has left already
            raise HostError(
                f"{interface.name} cannot join {mac.hex(':')} ({error.strerror}); use another mac "
                f"for the cluster"
            ) from None
    return True


def local_addresses() -> frozenset[Address]:
    """Every address of this machine (of this network namespace)."""
    with netlink() as route:
        return frozenset(
            ip_address(message.get("local") or message.get("address"))
            for message in route.get_addr()
        )


def add_address(index: int, address: Address) -> bool:
    """Put a single address on an interface; False if it stood there already.

    An IPv6 one is deprecated from the start: the host's own connections must not
    come from a VIP.
    """
    more = (
        {
            "flags": _IFA_F_NODAD | _IFA_F_NOPREFIXROUTE,
            "preferred_lft": 0,
            "valid_lft": _FOR_EVER,
        }
        if address.version == 6
        else {}
    )
    with netlink() as route:
        try:
            route.addr("add", **_single(index, address), IFA_PROTO=OURS, **more)
        except NetlinkError as error:
            if error.code == errno.EEXIST:
                return False
            raise HostError(f"adding {address} to the interface: {error.args[-1]}") from None
    return True


def remove_address(index: int, address: Address) -> None:
    """Take an address that we put there off an interface; another's, or none, stays as it is."""
    with netlink() as route:
        try:
            if addresses_on(index).get(address):
                route.addr("del", **_single(index, address))
        except NetlinkError as error:
            if error.code not in (errno.EADDRNOTAVAIL, errno.ENODEV, errno.ENOENT):
                raise HostError(
                    f"removing {address} from the interface: {error.args[-1]}"
                ) from None


def _single(index: int, address: Address) -> dict[str, Any]:
    return {
        "index": index,
        "address": str(address),
        "prefixlen": _FULL_PREFIX[address.version],
        "family": FAMILY[address.version],
    }


def off_link(addresses: Iterable[Address], index: int) -> tuple[Address, str] | None:
    """The first address that is not on the segment of an interface, and why; None if all are."""
    here = local_addresses()
    with netlink() as route:
        for address in addresses:
            if address in here:
                return address, f"{address} is an address of this host"
            reason = _off_link(route, address, index)
            if reason:
                return address, reason
    return None


def _off_link(route: IPRoute, address: Address, index: int) -> str | None:
    """Asked with the interface, since a host may have two in one segment.

    The entry itself is asked for (RTM_F_FIB_MATCH): without one, IPv4 takes any address for a
    neighbour on the interface that it is asked with.
    """
    try:
        found = route.route(
            "get",
            dst=str(address),
            family=FAMILY[address.version],
            oif=index,
            flags=_FIB_MATCH,
        )
        message = next(iter(found))
    except (NetlinkError, StopIteration):
        message = None
    if message is None or message["type"] != _UNICAST or message.get("oif") != index:
        return f"no route to {address} through {_name(route, index)}"
    if message.get("gateway") or message.get("via"):
        return f"{address} is behind the gateway {message.get('gateway')}, not on the segment"
    return None


def _name(route: IPRoute, index: int) -> str:
    links = route.get_links(index)
    return str(links[0].get("ifname")) if links else f"interface {index}"
