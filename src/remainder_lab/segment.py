"""An Ethernet segment: hosts around one bridge.

The bridge neither thinks nor waits: no spanning tree, no forward delay, no
multicast snooping.  It gets every MAC in advance, or it would flood frames to
all until it has learnt, and every host would pay for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import ip_interface
from types import TracebackType
from typing import Any, Final, Self

from remainder_lab.host import Host
from remainder_lab.wire import MTU, End, PassAll, Wire, attach_pass_all

BRIDGE: Final = "br0"

_NUD_NOARP: Final = 0x40
_NUD_STALE: Final = 0x04
_NTF_MASTER: Final = 0x04


class Segment:
    """A namespace with a bridge as a context manager; every host gets a port of its name."""

    def __init__(
        self, name: str = "segment", *, mtu: int = MTU, pass_all: PassAll = attach_pass_all
    ) -> None:
        self.host = Host(name)
        self.mtu = mtu
        self._pass_all = pass_all
        self._ends: dict[str, End] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self.host)
            self.host.netlink(self._create)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    @contextmanager
    def wired(
        self,
        host: Host,
        interface: str = "eth0",
        *,
        addresses: Iterable[str] = (),
        xdp: bool = False,
    ) -> Iterator[Wire]:
        """Wire a host to the segment for as long as the block runs.

        Pulling the cable puts the bridge's port down, the host just loses the carrier.
        """
        port = host.name[:15]
        end = End(host=host, interface=interface, addresses=tuple(addresses), xdp=xdp)
        wire = Wire(
            end,
            End(host=self.host, interface=port),
            mtu=self.mtu,
            pass_all=self._pass_all,
        )
        with wire:
            mac = host.mac(interface)
            self.host.netlink(self._enslave, port, mac)
            self._ends[port] = end
            try:
                yield wire
            finally:
                del self._ends[port]

    def introduce(self) -> None:
        """Let all hosts know each other's MAC, as if each had asked once.

        Hosts with XDP learn nothing: a balancer must find its neighbours itself.
        Entries are stale, not permanent, so an address may still move to another MAC.
        """
        macs = {port: end.host.mac(end.interface) for port, end in self._ends.items()}
        for port, end in self._ends.items():
            if end.xdp:
                continue
            known = [
                (str(ip_interface(address).ip), macs[other])
                for other, other_end in self._ends.items()
                if other != port
                for address in other_end.addresses
            ]
            end.host.netlink(_acquaint, end.interface, known)

    def silence(self, host: Host) -> None:
        """Let nothing in from a host, nor out to it, while its carrier stays.

        As when a machine hangs, or its switch does: nobody is notified.
        """
        self.host.netlink(_set_free, host.name[:15])

    def hear(self, host: Host) -> None:
        """Let a silenced host take part again."""
        port = host.name[:15]
        self.host.netlink(self._enslave, port, host.mac(self._ends[port].interface))

    def _create(self, ip: Any) -> None:
        ip.link(
            "add",
            ifname=BRIDGE,
            kind="bridge",
            mtu=self.mtu,
            br_stp_state=0,
            br_forward_delay=0,
            br_mcast_snooping=0,
        )
        ip.link("set", ifname=BRIDGE, state="up")

    def _enslave(self, ip: Any, port: str, mac: str) -> None:
        index = ip.link_lookup(ifname=port)[0]
        ip.link("set", index=index, master=ip.link_lookup(ifname=BRIDGE)[0])
        ip.fdb("replace", ifindex=index, lladdr=mac, flags=_NTF_MASTER, state=_NUD_NOARP)


def _set_free(ip: Any, port: str) -> None:
    ip.link("set", index=ip.link_lookup(ifname=port)[0], master=0)


def _acquaint(ip: Any, interface: str, known: Iterable[tuple[str, str]]) -> None:
    index = ip.link_lookup(ifname=interface)[0]
    for address, mac in known:
        ip.neigh("replace", dst=address, lladdr=mac, ifindex=index, state=_NUD_STALE)
