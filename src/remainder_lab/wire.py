"""A wire between two hosts: a veth pair with a cable that can be pulled.

Native XDP on a veth asks two things of the other end, else frames vanish
without a counter that says so:

- a program there, one that passes everything is enough: without it the kernel
  counts sent frames and drops them;
- no checksum offload there: a frame made locally comes without a checksum,
  and XDP sends it on like that.

Rule: an end with ``xdp=True`` gets both at the other end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

from remainder_lab.ethtool import tx_checksum_off
from remainder_lab.host import Host

PassAll = Callable[[str], None]
"""Attaches a program that passes everything to an interface of the current namespace."""

MTU: Final = 1500

_RTPROT_KERNEL: Final = 2


def attach_pass_all(interface: str) -> None:
    """The pass-all program that comes with Remainder."""
    # Only where a wire asks for it: a lab without XDP needs no libbpf.
    from remainder_lab import pass_all  # noqa: PLC0415

    pass_all.attach(interface)


@dataclass(frozen=True, kw_only=True)
class End:
    """One end of a wire."""

    host: Host
    interface: str
    addresses: Sequence[str] = ()
    """With prefix length: ``192.0.2.2/24``."""

    xdp: bool = False
    """An XDP program will run here, so the other end is made ready for it."""


class Wire:
    """A veth pair as a context manager.

    Pulling the cable puts the interface of ``b`` down, so ``a`` keeps its
    addresses and routes and merely loses the carrier; what ``b`` loses by that
    comes back with the cable.
    """

    def __init__(
        self, a: End, b: End, *, mtu: int = MTU, pass_all: PassAll = attach_pass_all
    ) -> None:
        self.a = a
        self.b = b
        self.mtu = mtu
        self._pass_all = pass_all
        self._lost_routes: list[Any] = []

    def __enter__(self) -> Self:
        self.a.host.netlink(self._create)
        try:
            for end, other in ((self.a, self.b), (self.b, self.a)):
                if end.xdp:
                    other.host.call(self._make_ready, other.interface)
            for end in (self.a, self.b):
                end.host.switch_on(end.interface)
                if end.addresses:
                    end.host.add_addresses(end.interface, end.addresses)
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.remove()

    def remove(self) -> None:
        """Take the wire away, both ends with it; nothing happens where it is gone already."""
        if self.a.host.namespace:
            self.a.host.netlink(self._delete)

    def down(self) -> None:
        """Pull the cable: ``a`` sees the carrier vanish."""
        self._lost_routes = self.b.host.netlink(self._pull)

    def up(self) -> None:
        """Put the cable back."""
        self.b.host.netlink(self._plug)

    def _create(self, ip: Any) -> None:
        ip.link(
            "add",
            ifname=self.a.interface,
            kind="veth",
            mtu=self.mtu,
            peer={
                "ifname": self.b.interface,
                "mtu": self.mtu,
                "net_ns_fd": self.b.host.namespace,
            },
        )

    def _delete(self, ip: Any) -> None:
        for index in ip.link_lookup(ifname=self.a.interface):
            ip.link("del", index=index)

    def _make_ready(self, interface: str) -> None:
        tx_checksum_off(interface)
        self._pass_all(interface)

    def _pull(self, ip: Any) -> list[Any]:
        index = ip.link_lookup(ifname=self.b.interface)[0]
        routes = [route for route in ip.get_routes(oif=index) if route["proto"] != _RTPROT_KERNEL]
        ip.link("set", index=index, state="down")
        return routes

    def _plug(self, ip: Any) -> None:
        # The kernel restores the routes of the interface's own prefixes, nobody the rest.
        from pyroute2 import NetlinkError  # noqa: PLC0415

        ip.link("set", ifname=self.b.interface, state="up")
        for route in self._lost_routes:
            with suppress(NetlinkError):
                ip.route("add", **_as_request(route))
        self._lost_routes = []


def _as_request(route: Any) -> dict[str, Any]:
    fields = {
        name: route[name]
        for name in ("family", "dst_len", "proto", "scope", "type", "tos", "flags")
    }
    attributes = {
        name.removeprefix("RTA_").lower(): value
        for name, value in route["attrs"]
        if name in ("RTA_DST", "RTA_GATEWAY", "RTA_OIF", "RTA_PRIORITY", "RTA_TABLE", "RTA_PREFSRC")
    }
    return fields | attributes
