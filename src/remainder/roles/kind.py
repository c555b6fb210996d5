"""What a role does its own way; the rest is the same for all, see running.py."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from ipaddress import IPv4Network, IPv6Network
from typing import Protocol

from remainder.fleet import Part
from remainder.kernel.host import Host
from remainder.kernel.netlink import Interface
from remainder.kernel.own_macs import OwnMacs
from remainder.kernel.refusal import refuse_without_ethernet


class Kind(Protocol):
    """A role's own words and ways."""

    choice: str
    """What it calculates for: service, cluster, return path."""
    owner: str
    """Whom it chooses: server, member, router."""
    side: str
    """Where its program stands: XDP or egress."""
    announces: bool
    """Whether a VIP on its interface is for its own MAC address."""

    def refuse(self, interface: Interface, /) -> None:
        """Raises HostError if it cannot work on such an interface."""

    def wants_native(self, interface: Interface, mode: str) -> bool:
        """Whether its program may see frames as the driver does."""

    def on_link(self, host: Host, interface: Interface, /) -> Collection[IPv4Network | IPv6Network]:
        """The ranges of the segment that its program must know."""

    def own_macs(self, host: Host, part: Part, interface: Interface, /) -> OwnMacs:
        """The other MAC addresses of this machine that its program must know."""

    def hears(self, part: Part, /) -> bytes | None:
        """A MAC address, besides its own, that the interface must listen to."""

    def warnings(
        self, host: Host, part: Part, interface: Interface, /
    ) -> Iterator[tuple[str, str | None]]:
        """(sentence, id) of what runs, but not as it should; once, at the start."""


class XdpKind:
    """What the roles in XDP have in common."""

    side = "XDP"
    announces = False

    def refuse(self, interface: Interface) -> None:
        """Any Ethernet interface will do."""
        refuse_without_ethernet(interface)

    def wants_native(self, interface: Interface, mode: str) -> bool:
        """Left to choose, a veth runs generically."""
        return mode == "native" or (mode == "auto" and interface.kind != "veth")

    def on_link(self, host: Host, interface: Interface) -> Collection[IPv4Network | IPv6Network]:
        """It sees what comes in, and asks for no range."""
        del host, interface
        return ()

    def own_macs(self, host: Host, part: Part, interface: Interface) -> OwnMacs:
        """None: what is sent to them is none of its business."""
        del host, part, interface
        return OwnMacs()

    def hears(self, part: Part) -> bytes | None:
        """Its own MAC address alone."""
        del part
        return None

    def warnings(
        self, host: Host, part: Part, interface: Interface
    ) -> Iterator[tuple[str, str | None]]:
        """Any interface will do."""
        del host, part, interface
        yield from ()
