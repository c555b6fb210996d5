"""The host, but for our programs: interfaces, neighbours, addresses, offloads.

One of the two doors to Linux, beside plane.py.  ``fake.py`` is a host in memory.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Collection, Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Protocol

from remainder.flow import Address
from remainder.kernel import announce as segment
from remainder.kernel import card, netlink, sysctl
from remainder.kernel import neighbours as arp
from remainder.kernel.links import Link
from remainder.kernel.links import links as all_links
from remainder.kernel.monitor import Monitor
from remainder.kernel.neighbours import Neighbour
from remainder.kernel.netlink import Interface


class Watch(Protocol):
    """What puts the host's changes into a queue, until it is closed."""

    def close(self) -> None:
        """Watch no longer."""


class Host(Protocol):
    """What a role reads, watches and changes.  Every refusal is a HostError."""

    def interface(self, name: str, /) -> Interface:
        """An interface as it is now."""

    def interface_at(self, index: int, /) -> Interface:
        """The same by its number, whatever its name has become."""

    def addresses_on(self, index: int, /) -> Mapping[Address, bool]:
        """The addresses of an interface, and whether ``add_address`` has put them there."""

    def links(self) -> Collection[Link]:
        """Every Ethernet interface, and what stands on it."""

    def networks_on(self, index: int, /) -> Collection[IPv4Network | IPv6Network]:
        """The ranges of an interface's segment."""

    def off_link(self, addresses: Iterable[Address], index: int, /) -> tuple[Address, str] | None:
        """The first address that is not on the segment, and why; None if all are."""

    def neighbours(self, index: int, /) -> Mapping[Address, Neighbour]:
        """What the kernel knows of a segment."""

    def keep_resolved(self, index: int, addresses: Iterable[Address], /) -> None:
        """Ask the kernel to resolve neighbours and to keep them so."""

    def forget(self, index: int, addresses: Iterable[Address], /) -> None:
        """Undo ``keep_resolved``; what somebody else has set stays."""

    def add_address(self, index: int, address: Address, /) -> bool:
        """Put an address on an interface; False if it stood there already."""

    def remove_address(self, index: int, address: Address, /) -> None:
        """Undo ``add_address``; an address that somebody else has set stays."""

    def announce(self, index: int, mac: bytes, vips: Collection[Address], /) -> None:
        """Tell the segment that VIPs are at this MAC."""

    def hand_over(
        self, index: int, mac: bytes, vips: Collection[Address], servers: Collection[bytes], /
    ) -> Collection[Address]:
        """Tell the segment who else holds VIPs that are no longer ours; those that have one.

        ``servers`` are at these MAC addresses, and nobody to hand over to.
        """

    def hears(self, interface: Interface, mac: bytes, /) -> bool:
        """Whether an interface takes frames to another address than its own."""

    def listen_to(self, interface: Interface, mac: bytes, /, *, join: bool) -> bool:
        """Let it take them, or no longer; False: that is how it was."""

    def missing_drop_setting(self, version: int, interface: str, /) -> str | None:
        """The sysctl that should keep other members' UDP out, and does not; None if it does."""

    def strips_vlan_tags(self, name: str, /) -> tuple[str, ...]:
        """The offloads in use that take VLAN tags off."""

    def switch_offloads(self, name: str, offloads: tuple[str, ...], /, *, on: bool) -> None:
        """Switch offloads on or off."""

    def lost(self, name: str, /) -> int | None:
        """Frames that the driver lost of those sent back natively; None if it does not count."""

    def watch(self, events: queue.SimpleQueue[Any], /) -> Watch:
        """Tell of changes through a queue, see ``monitor.Monitor``."""

    def now_s(self) -> float:
        """A clock that only goes forward."""

    def sleep(self, seconds: float, /) -> None:
        """Wait."""


class LinuxHost:
    """This machine, in the network namespace of the calling thread."""

    interface = staticmethod(netlink.interface)
    interface_at = staticmethod(netlink.interface_at)
    addresses_on = staticmethod(netlink.addresses_on)
    links = staticmethod(all_links)
    networks_on = staticmethod(netlink.networks_on)
    off_link = staticmethod(netlink.off_link)
    neighbours = staticmethod(arp.neighbours)
    keep_resolved = staticmethod(arp.keep_resolved)
    forget = staticmethod(arp.forget)
    add_address = staticmethod(netlink.add_address)
    remove_address = staticmethod(netlink.remove_address)
    announce = staticmethod(segment.announce)
    hand_over = staticmethod(segment.hand_over)
    hears = staticmethod(netlink.hears)
    listen_to = staticmethod(netlink.listen_to)
    missing_drop_setting = staticmethod(sysctl.missing_drop_setting)
    strips_vlan_tags = staticmethod(card.strips_vlan_tags)
    switch_offloads = staticmethod(card.switch_offloads)
    lost = staticmethod(card.lost)
    watch = staticmethod(Monitor)
    now_s = staticmethod(time.monotonic)
    sleep = staticmethod(time.sleep)
