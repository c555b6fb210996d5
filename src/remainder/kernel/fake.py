"""A host and its planes in memory: what a role would do to Linux, without Linux.

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
from remainder.kernel.image import OwnerName, allocate_counters
from remainder.kernel.links import Link
from remainder.kernel.netlink import Interface, Neighbour
from remainder.kernel.own_macs import OwnMacs
from remainder.kernel.plane import Plane, Prepared, Wish
from remainder.messages import Warn
from remainder.plan import Plan, Role

Step = Literal["prepare", "commit", "resolve", "listen", "address", "offload"]


@dataclass
class FakeLink:
    """An interface with what stands on it."""

    interface: Interface
    networks: list[IPv4Network | IPv6Network] = field(default_factory=list)
    answers: dict[Address, bytes] = field(default_factory=dict)
    """Who would answer ARP or neighbour discovery, and from where."""
    managed: set[Address] = field(default_factory=set)
    addresses: set[Address] = field(default_factory=set)
    heard: set[bytes] = field(default_factory=set)
    offloads: tuple[str, ...] = ()
    about: dict[str, int] = field(default_factory=dict)  # what else `links` says of it


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

    def link(
        self, name: str, *addresses: IPv4Interface | IPv6Interface, kind: str | None = None
    ) -> FakeLink:
        """Add an interface, up, with these addresses."""
        made = FakeLink(
            Interface(
                index=(index := len(self.links) + 1),
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
        raise HostError(f"interface {index} no longer exists")

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
        """Whoever was asked for and answers."""
        link = self.kernel.at(index)
        return {
            address: Neighbour(
                address=address,
                mac=link.answers.get(address),
                valid=address in link.answers,
                managed=True,
            )
            for address in link.managed
        }

    def keep_resolved(self, index: int, addresses: Iterable[Address]) -> None:
        """Managed entries."""
        link = self.kernel.at(index)
        self.kernel.step("resolve", link.interface.name)
        link.managed |= set(addresses)

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
        return fresh

    def remove_address(self, index: int, address: Address) -> None:
        """Whether it is there or not."""
        for link in self.kernel.links.values():
            if link.interface.index == index:
                link.addresses.discard(address)

    def listen_to(self, interface: Interface, mac: bytes, *, join: bool) -> None:
        """A set; joining twice counts once."""
        heard = self.kernel.at(interface.index).heard
        if join:
            self.kernel.step("listen", interface.name)
            heard.add(mac)
        else:
            heard.discard(mac)

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


@dataclass
class FakePlane:
    """A ``kernel.plane.Plane``: a process's hold on what is met."""

    met: Met
    is_current: bool = True
    is_open: bool = True

    @property
    def ifindex(self) -> int:
        """Of the interface."""
        return self.met.ifindex

    @property
    def mode(self) -> str:
        """How it is attached."""
        return self.met.mode

    @property
    def code(self) -> str | None:
        """Of the build that loaded it."""
        return self.met.code

    @property
    def numbers(self) -> Mapping[OwnerName, int]:
        """The counters."""
        return self.met.numbers

    def serves(self, plan: Plan, interface: Interface) -> bool:
        """Any plan of the same families, by code of the same build."""
        del interface
        return self.is_current and plan.families == self.met.plan.families

    def set_mac(self, address: Address, mac: bytes) -> None:
        """At once."""
        self.met.macs[address] = mac

    def set_own_mac(self, mac: bytes) -> None:
        """At once."""
        self.met.own_mac = mac

    def set_own_macs(self, own: OwnMacs) -> None:
        """At once."""
        self.met.own_macs = own

    def close(self) -> None:
        """What is met stays."""
        self.is_open = False


@dataclass
class FakePrepared:
    """A ``kernel.plane.Prepared``."""

    kernel: FakeKernel
    wish: Wish
    running: FakePlane | None
    met: Met
    before: Met | None
    risk: int

    @property
    def _place(self) -> tuple[str, Role]:
        return self.wish.node, self.wish.plan.role

    def commit(self, warn: Warn) -> FakePlane:
        """From here on packets meet the new plan."""
        del warn
        self.kernel.step("commit", self.wish.plan.role)
        self.kernel.planes[self._place] = self.met
        if self.running is None or self.running.ifindex != self.met.ifindex:
            return FakePlane(self.met)
        self.running.met, self.running.is_current = self.met, True
        return self.running

    def undo(self) -> None:
        """They meet what they met before, or nothing."""
        if self.before is None:
            del self.kernel.planes[self._place]
        else:
            self.kernel.planes[self._place] = self.before
            if self.running is not None:
                self.running.met = self.before

    def finish(self) -> None:
        """Nothing is held."""

    def discard(self) -> None:
        """Nothing was loaded."""


@dataclass
class FakePlanes:
    """A ``kernel.plane.Planes``."""

    kernel: FakeKernel

    def find(
        self, node: str, role: Role, numbers: Mapping[OwnerName, int], *, code: str | None
    ) -> FakePlane | None:
        """What packets meet."""
        met = self.kernel.planes.get((node, role))
        if met is None:
            return None
        return FakePlane(replace(met, numbers=dict(numbers)), is_current=code == self.kernel.code)

    def prepare(self, wish: Wish, running: Plane | None) -> Prepared:
        """A new thing to meet, beside the one that is met."""
        role = wish.plan.role
        self.kernel.step("prepare", role)
        self._refuse_a_taken_place(wish)
        before = self.kernel.planes.get((wish.node, role))
        here = isinstance(running, FakePlane) and running.ifindex == wish.interface.index
        fresh = not here or before is None
        in_place = not fresh and running is not None and running.serves(wish.plan, wish.interface)
        numbers, _ = allocate_counters(wish.plan, {} if before is None else before.numbers)
        if fresh:
            mode = "tcx" if role == "sender" else _mode(wish)
        else:
            mode = before.mode if before is not None else wish.mode
        met = Met(
            plan=wish.plan,
            ifindex=wish.interface.index,
            mode=mode,
            macs=dict(wish.macs),
            own_mac=wish.interface.mac,
            own_macs=wish.own_macs,
            numbers=numbers,
            code=before.code if in_place and before is not None else self.kernel.code,
            programs=1 if before is None else before.programs + (not in_place),
            publications=1 if before is None else before.publications + 1,
        )
        return FakePrepared(
            kernel=self.kernel,
            wish=wish,
            running=running if isinstance(running, FakePlane) else None,
            met=met,
            before=before,
            risk=2 if fresh else int(not in_place),
        )

    def _refuse_a_taken_place(self, wish: Wish) -> None:
        """One XDP program an interface."""
        for (node, role), met in self.kernel.planes.items():
            taken = met.ifindex == wish.interface.index and "sender" not in (role, wish.plan.role)
            if taken and (node, role) != (wish.node, wish.plan.role):
                raise HostError(f"{wish.interface.name} already runs another XDP program")

    def remove(self, node: str, role: Role) -> bool:
        """Packets meet nothing more."""
        return self.kernel.planes.pop((node, role), None) is not None

    def fingerprint(self, role: Role) -> str:
        """The same for all roles."""
        del role
        return self.kernel.code


def _mode(wish: Wish) -> str:
    if wish.mode != "auto":
        return wish.mode
    return "generic" if wish.interface.kind == "veth" else "native"
