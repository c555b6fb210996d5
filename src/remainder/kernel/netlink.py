"""Interfaces, addresses and neighbours, through pyroute2.

Rule: what we add we can name again, so that only that is removed.
"""

from __future__ import annotations

import errno
import fcntl
import os
import queue
import socket
import struct
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, Final

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.rtnl.marshal import MarshalRtnl

from remainder.errors import HostError
from remainder.flow import Address

_VALID: Final = 0x02 | 0x04 | 0x08 | 0x10 | 0x80  # reachable, stale, delay, probe, permanent
_NTF_USE: Final = 0x01
_EXT_MANAGED: Final = 0x01
_GROUPS: Final = 0x1 | 0x4 | 0x10 | 0x100  # RTMGRP_LINK, _NEIGH, _IPV4_IFADDR, _IPV6_IFADDR
_IFF_PROMISC: Final = 0x100
_SIOCADDMULTI: Final = 0x8931
_SIOCDELMULTI: Final = 0x8932
_BUFFER_BYTES: Final = 1 << 16
_IFA_F_NODAD: Final = 0x02
_IFA_F_NOPREFIXROUTE: Final = 0x200
_FAMILY: Final = {4: 2, 6: 10}
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


@dataclass(frozen=True, slots=True)
class Neighbour:
    """What the kernel knows of an address on the segment."""

    address: Address
    mac: bytes | None
    valid: bool
    managed: bool = False
    """Kept resolved by the kernel, as ``keep_resolved`` asks for."""


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
        return _interface(route.get_links(found[0])[0])


def interface_at(index: int) -> Interface:
    """Look an interface up by its number.  Raises HostError if it is gone."""
    with netlink() as route:
        try:
            return _interface(route.get_links(index)[0])
        except (NetlinkError, IndexError):
            raise HostError(f"interface {index} no longer exists") from None


def _interface(link: Any) -> Interface:
    info = link.get("linkinfo")
    xdp = link.get("xdp")
    native = xdp.get("xdp_drv_prog_id") if xdp else None
    generic = xdp.get("xdp_skb_prog_id") if xdp else None
    address = link.get("address") or "00:00:00:00:00:00"
    return Interface(
        index=link["index"],
        name=link.get("ifname"),
        mac=bytes.fromhex(address.replace(":", "")),
        mtu=link.get("mtu") or 0,
        up=bool(link["flags"] & 1),
        kind=info.get("kind") if info else None,
        xdp_mode="native" if native else "generic" if generic else None,
        xdp_program=native or generic,
    )


def addresses_on(index: int) -> frozenset[Address]:
    """Every address of an interface."""
    with netlink() as route:
        return frozenset(
            ip_address(message.get("local") or message.get("address"))
            for message in route.get_addr(index=index)
        )


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
                if message["prefixlen"] != _FULL_PREFIX[4 if message["family"] == _FAMILY[4] else 6]
            )
        )


def listen_to(interface: Interface, mac: bytes, *, join: bool) -> None:
    """Let an interface take frames to another address than its own, or no longer.

    A group address joins the device's own list (SIOCADDMULTI), for another one
    the interface becomes promiscuous; both stay when we go, so the data plane
    outlives us.
    """
    if not mac[0] & 1:
        with netlink() as route:
            flag = _IFF_PROMISC if join else 0
            route.link("set", index=interface.index, flags=flag, change=_IFF_PROMISC)
        return
    # A second join counts once.  Leaving before joining would lose what comes in between.
    request = struct.pack("16sH6s16x", interface.name.encode(), 0, mac)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            fcntl.ioctl(any_socket, _SIOCADDMULTI if join else _SIOCDELMULTI, request)
        except OSError as error:
            if not join:
                return  # it has left already
            raise HostError(
                f"{interface.name} cannot join {mac.hex(':')} ({error.strerror}); use another mac "
                f"for the cluster"
            ) from None


def local_addresses() -> frozenset[Address]:
    """Every address of this machine (of this network namespace)."""
    with netlink() as route:
        return frozenset(
            ip_address(message.get("local") or message.get("address"))
            for message in route.get_addr()
        )


def add_address(index: int, address: Address) -> bool:
    """Put a single address on an interface; False if it stood there already."""
    flags = _IFA_F_NODAD | _IFA_F_NOPREFIXROUTE if address.version == 6 else 0
    with netlink() as route:
        try:
            route.addr(
                "add",
                index=index,
                address=str(address),
                prefixlen=_FULL_PREFIX[address.version],
                family=_FAMILY[address.version],
                **({"flags": flags} if flags else {}),
            )
        except NetlinkError as error:
            if error.code == errno.EEXIST:
                return False
            raise HostError(f"adding {address} to the interface: {error.args[-1]}") from None
    return True


def remove_address(index: int, address: Address) -> None:
    """Take an address off an interface; nothing happens if it is gone already."""
    with netlink() as route:
        try:
            route.addr(
                "del",
                index=index,
                address=str(address),
                prefixlen=_FULL_PREFIX[address.version],
                family=_FAMILY[address.version],
            )
        except NetlinkError as error:
            if error.code not in (errno.EADDRNOTAVAIL, errno.ENODEV, errno.ENOENT):
                raise HostError(
                    f"removing {address} from the interface: {error.args[-1]}"
                ) from None


def off_link(addresses: Iterable[Address], index: int) -> tuple[Address, str] | None:
    """The first address that is not on the segment of an interface, and why; None if all are."""
    with netlink() as route:
        for address in addresses:
            reason = _off_link(route, address, index)
            if reason:
                return address, reason
    return None


def _off_link(route: IPRoute, address: Address, index: int) -> str | None:
    try:
        found = route.route("get", dst=str(address), family=_FAMILY[address.version])
    except NetlinkError:
        return f"no route to {address}"
    message = next(iter(found))
    if message["type"] == 2:
        return f"{address} is an address of this host"
    if message.get("gateway") or message.get("via"):
        return f"{address} is behind the gateway {message.get('gateway')}, not on the segment"
    out = message.get("oif")
    if out != index:
        link = route.get_links(out)[0]
        if link.get("link") != index:  # a VLAN of our interface is fine
            return f"{address} is reached through {link.get('ifname')}"
    return None


def keep_resolved(index: int, addresses: Iterable[Address]) -> None:
    """Ask the kernel to resolve these neighbours and to keep them so (managed entries).

    An older kernel takes the request and forgets the second half: ``Neighbour.managed`` tells.
    """
    with netlink() as route:
        for address in addresses:
            try:
                route.neigh(
                    "replace",
                    dst=str(address),
                    ifindex=index,
                    state=0,
                    flags=_NTF_USE,
                    NDA_FLAGS_EXT=_EXT_MANAGED,
                    family=_FAMILY[address.version],
                )
            except NetlinkError as error:
                raise HostError(
                    f"the kernel refused to keep {address} resolved ({error.args[-1]}); managed "
                    f"neighbours need Linux 5.16"
                ) from None


def forget(index: int, addresses: Iterable[Address]) -> None:
    """Undo keep_resolved."""
    with netlink() as route:
        for address in addresses:
            try:
                route.neigh("del", dst=str(address), ifindex=index, family=_FAMILY[address.version])
            except NetlinkError:
                continue  # gone already, or its interface is


def neighbours(index: int) -> dict[Address, Neighbour]:
    """What the kernel knows of the segment of an interface."""
    with netlink() as route:
        found = (_neighbour(message) for message in route.get_neighbours(ifindex=index))
        return {neighbour.address: neighbour for neighbour in found if neighbour}


def _neighbour(message: Any) -> Neighbour | None:
    destination, mac = message.get("dst"), message.get("lladdr")
    if not destination:
        return None
    return Neighbour(
        address=ip_address(destination),
        mac=bytes.fromhex(mac.replace(":", "")) if mac else None,
        valid=bool(message["state"] & _VALID),
        managed=bool((message.get("flags_ext") or 0) & _EXT_MANAGED),
    )


@dataclass(frozen=True, slots=True)
class Gone:
    """An interface that is no more."""

    index: int


@dataclass(frozen=True, slots=True)
class Addressed:
    """An interface whose addresses have changed."""

    index: int


class Monitor:
    """Tells of changed neighbours, interfaces and addresses, through a queue.

    Entries are (ifindex, Neighbour), Interface, Gone or Addressed values; ``None`` means that
    messages were lost and everything should be read anew.
    """

    def __init__(self, events: queue.SimpleQueue[Any]) -> None:
        self._events = events
        self._marshal = MarshalRtnl()
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._socket.bind((0, _GROUPS))
        threading.Thread(target=self._listen, name="netlink", daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                data = self._socket.recv(_BUFFER_BYTES)
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    return  # closed
                self._events.put(None)
                continue
            for message in self._marshal.parse(data):
                self._tell(message)

    def _tell(self, message: Any) -> None:
        event = message.get("event")
        if event in ("RTM_NEWNEIGH", "RTM_DELNEIGH"):
            neighbour = _neighbour(message)
            if neighbour:
                self._events.put((message["ifindex"], neighbour))
        elif event == "RTM_NEWLINK":
            self._events.put(_interface(message))
        elif event == "RTM_DELLINK":
            self._events.put(Gone(message["index"]))
        elif event in ("RTM_NEWADDR", "RTM_DELADDR"):
            self._events.put(Addressed(message["index"]))

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()
