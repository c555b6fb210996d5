"""A host in memory: what a role would do to Linux, without Linux; its planes: fake_planes.py.

For tests, ours and others', and for trying a control plane as a user without
rights.  ``FakeKernel`` outlives the processes that use it, as a kernel does;
what packets would meet is ``planes``, what stands on the host is ``links``.

Rule: it refuses what Linux refuses in the same place, and remembers every
call in ``calls``; a test makes any step fail by ``fail``.
"""

from __future__ import annotations

import queue
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network
from typing import Any, Literal

from remainder.errors import HostError
from remainder.flow import Address
from remainder.kernel.image import OwnerName
from remainder.kernel.links import Link
from remainder.kernel.neighbours import Neighbour
from remainder.kernel.netlink import Interface
from remainder.kernel.own_macs import OwnMacs
from remainder.plan import Plan, Role

Step = Literal["prepare", "commit", "resolve", "listen", "address", "offload", "announce"]


@dataclass
class FakeLink:
    """An interface with what stands on it."""

    interface: Interface
    networks: list[IPv4Network | IPv6Network] = field(default_factory=list)
    answers: dict[Address, bytes] = field(default_factory=dict)
    """Who would answer ARP or neighbour discovery, and from where."""
    managed: set[Address] = field(default_factory=set)
    permanent: dict[Address, bytes] = field(default_factory=dict)
    """Neighbours that an operator has set."""
    addresses: set[Address] = field(default_factory=set)
    put: set[Address] = field(default_factory=set)
    """Those of the addresses that a role has put there."""
    announced: list[tuple[Address, bytes]] = field(default_factory=list)
    heard: set[bytes] = field(default_factory=set)
    offloads: tuple[str, ...] = ()
    about: dict[str, int] = field(default_factory=dict)
    """What else ``links`` says of it: below, master, bond_mode, vlan."""


@dataclass
class Met:
    """What a packet would meet: the plan of a role, on an interface."""

    plan: Plan
    ifindex: int
    mode: str
    macs: dict[Address, bytes]
    own_mac: bytes
    own_macs: OwnMacs
    numbers: dict[OwnerName, int]
    code: str
    attached: bool = True
    pinned: bool = True
    on_link: tuple[IPv4Network | IPv6Network, ...] = ()
    programs: int = 1
    """How many programs stood there, one after the other."""
    publications: int = 1


@dataclass
class FakeKernel:
    """What all processes of a machine share."""

    links: dict[str, FakeLink] = field(default_factory=dict)
    planes: dict[tuple[str, Role], Met] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    fail: dict[tuple[Step, str], str] = field(default_factory=dict)
    """(step, role or interface) → the sentence it is refused with."""
    clock_s: float = 0.0
    code: str = "build 1"
    made: int = 0
    beside: dict[Address, bytes] = field(default_factory=dict)
    """Which other balancer would answer for a VIP."""

    def link(
        self, name: str, *addresses: IPv4Interface | IPv6Interface, kind: str | None = None
    ) -> FakeLink:
        """Add an interface, up, with these addresses."""
        self.made += 1
        index = self.made
        made = FakeLink(
            Interface(
                index=index,
                name=name,
                mac=b"\x02\x00\x00\x00\x00" + bytes([index]),
                mtu=1500,
                up=True,
                kind=kind,
                xdp_mode=None,
                xdp_program=None,
            ),
            networks=[address.network for address in addresses],
            addresses={address.ip for address in addresses},
        )
        self.links[name] = made
        return made

    def at(self, index: int) -> FakeLink:
        """The interface of a number.  Raises HostError if it is gone."""
        for link in self.links.values():
            if link.interface.index == index:
                return link
        raise HostError(f"interface {index} no longer exists", id="interface-gone")

    # -- what happens to a machine ----------------------------------------------

    def change(self, name: str, /, **facts: Any) -> None:
        """Let an interface be another way; a cable or a switch flushes what Linux flushes."""
        link = self.links.pop(name)
        link.interface = replace(link.interface, **facts)
        self.links[link.interface.name] = link
        if not (link.interface.up and link.interface.carrier) or "mac" in facts:
            link.managed.clear()
        if not link.interface.up:
            gone = {address for address in link.addresses if address.version == 6}
            link.addresses -= gone
            link.put -= gone

    def remove(self, name: str) -> None:
        """Let an interface be gone, and what was attached to it."""
        link = self.links.pop(name)
        for met in self.planes.values():
            met.attached = met.attached and met.ifindex != link.interface.index

    def step(self, step: Step, of: str) -> None:
        """Remember a step, or refuse it.  Raises HostError."""
        self.calls.append(f"{step} {of}")
        if (step, of) in self.fail:
            raise HostError(self.fail[step, of])


@dataclass
class FakeHost:
    """A ``kernel.host.Host``."""

    kernel: FakeKernel
    events: queue.SimpleQueue[Any] | None = None

    def interface(self, name: str) -> Interface:
        """As on Linux."""
        if name not in self.kernel.links:
            names = ", ".join(sorted(self.kernel.links))
            raise HostError(f"no interface named {name!r} on this host, which has {names}")
        return self.kernel.links[name].interface

    def interface_at(self, index: int) -> Interface:
        """As on Linux."""
        return self.kernel.at(index).interface

    def addresses_on(self, index: int) -> Mapping[Address, bool]:
        """All of them."""
        link = self.kernel.at(index)
        return {address: address in link.put for address in link.addresses}

    def links(self) -> Collection[Link]:
        """All of them."""
        return [
            Link(one.index, one.name, one.mac, one.kind, frozenset(link.addresses), **link.about)
            for link in self.kernel.links.values()
            for one in [link.interface]
        ]

    def networks_on(self, index: int) -> Collection[IPv4Network | IPv6Network]:
        """Those of its addresses."""
        return self.kernel.at(index).networks

    def off_link(self, addresses: Iterable[Address], index: int) -> tuple[Address, str] | None:
        """By the ranges of the interface."""
        networks = self.kernel.at(index).networks
        for address in addresses:
            if not any(address in network for network in networks):
                return address, f"no route to {address}"
        return None

    def neighbours(self, index: int) -> Mapping[Address, Neighbour]:
        """Whoever was asked for and answers, and those that were set."""
        link = self.kernel.at(index)
        found = {
            address: Neighbour(
                address=address,
                mac=link.answers.get(address),
                valid=address in link.answers,
                managed=True,
                ours=True,
            )
            for address in link.managed
        }
        for address, mac in link.permanent.items():
            found[address] = Neighbour(address, mac, valid=True, permanent=True)
        return found

    def keep_resolved(self, index: int, addresses: Iterable[Address]) -> None:
        """Managed entries, in the place of any other."""
        link = self.kernel.at(index)
        self.kernel.step("resolve", link.interface.name)
        for address in addresses:
            link.managed.add(address)
            link.permanent.pop(address, None)

    def forget(self, index: int, addresses: Iterable[Address]) -> None:
        """No longer; of an interface that is gone there is nothing."""
        for link in self.kernel.links.values():
            if link.interface.index == index:
                link.managed -= set(addresses)

    def add_address(self, index: int, address: Address) -> bool:
        """False if it is there."""
        link = self.kernel.at(index)
        self.kernel.step("address", link.interface.name)
        fresh = address not in link.addresses
        link.addresses.add(address)
        if fresh:
            link.put.add(address)
        return fresh

    def remove_address(self, index: int, address: Address) -> None:
        """If we have put it there."""
        for link in self.kernel.links.values():
            if link.interface.index == index and address in link.put:
                link.addresses.discard(address)
                link.put.discard(address)

    def announce(self, index: int, mac: bytes, vips: Collection[Address]) -> None:
        """Written down."""
        link = self.kernel.at(index)
        self.kernel.step("announce", link.interface.name)
        link.announced += [(vip, mac) for vip in vips]

    def hand_over(
        self, index: int, mac: bytes, vips: Collection[Address], servers: Collection[bytes]
    ) -> Collection[Address]:
        """To whoever is beside us."""
        link, others = self.kernel.at(index), (mac, None, *servers)
        handed = [vip for vip in vips if self.kernel.beside.get(vip) not in others]
        link.announced += [(vip, self.kernel.beside[vip]) for vip in handed]
        return handed

    def hears(self, interface: Interface, mac: bytes) -> bool:
        """What was joined, or everything."""
        link = self.kernel.at(interface.index)
        return mac in link.heard or link.interface.promiscuous

    def listen_to(self, interface: Interface, mac: bytes, *, join: bool) -> bool:
        """A set; joining twice counts once."""
        link = self.kernel.at(interface.index)
        before = self.hears(interface, mac)
        if join and not before:
            self.kernel.step("listen", interface.name)
            link.heard.add(mac)
        elif not join:
            link.heard.discard(mac)
        return before != join

    def missing_drop_setting(self, version: int, interface: str) -> str | None:
        """All is set as it should be."""
        del version, interface
        return None

    def strips_vlan_tags(self, name: str) -> tuple[str, ...]:
        """What is on; nothing of an interface that is gone."""
        return self.kernel.links[name].offloads if name in self.kernel.links else ()

    def switch_offloads(self, name: str, offloads: tuple[str, ...], *, on: bool) -> None:
        """All of them together."""
        if not offloads:
            return
        self.kernel.step("offload", name)
        link = self.kernel.links[name]
        kept = tuple(one for one in link.offloads if one not in offloads)
        link.offloads = (*kept, *offloads) if on else kept

    def lost(self, name: str) -> int | None:
        """Nothing is ever lost."""
        del name
        return 0

    def watch(self, events: queue.SimpleQueue[Any]) -> FakeHost:
        """What ``tell`` is given goes into the queue."""
        self.events = events
        return self

    def tell(self, event: Any) -> None:
        """Something has happened to the host, as ``netlink.Monitor`` puts it."""
        if self.events is not None:
            self.events.put(event)

    def close(self) -> None:
        """Watch no longer."""
        self.events = None

    def now_s(self) -> float:
        """Only ``sleep`` moves the clock."""
        return self.kernel.clock_s

    def sleep(self, seconds: float) -> None:
        """At once."""
        self.kernel.clock_s += seconds
