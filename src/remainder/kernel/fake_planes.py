"""The planes of a host in memory, see fake.py: what packets would meet.

Rule: it refuses what Linux refuses in the same place.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network

from remainder.errors import HostError
from remainder.flow import Address
from remainder.kernel.fake import FakeKernel, Met
from remainder.kernel.image import OwnerName, allocate_counters
from remainder.kernel.netlink import Interface
from remainder.kernel.own_macs import OwnMacs
from remainder.kernel.plane import Plane, Prepared, Wish
from remainder.messages import Warn
from remainder.plan import Plan, Role


@dataclass
class FakePlane:
    """A ``kernel.plane.Plane``: a process's hold on what is met."""

    met: Met
    is_current: bool = True
    is_open: bool = True

    @property
    def ifindex(self) -> int:
        """Of the interface."""
        return self.met.ifindex if self.met.attached else 0

    @property
    def is_pinned(self) -> bool:
        """Unless somebody has removed the pins."""
        return self.met.pinned

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

    def set_on_link(self, networks: Collection[IPv4Network | IPv6Network]) -> None:
        """At once."""
        self.met.on_link = tuple(networks)

    def pin(self) -> None:
        """It is found again."""
        self.met.pinned = True

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
        if met is None or not met.pinned:
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
            on_link=tuple(wish.on_link),
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
            here = met.attached and met.ifindex == wish.interface.index
            taken = here and "sender" not in (role, wish.plan.role)
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
