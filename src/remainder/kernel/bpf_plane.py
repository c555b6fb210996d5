"""Planes of the running kernel: programs and tables that are pinned, and outlive the process.

Twin: bpf/.  The protocols and the order of the steps are in plane.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from remainder.errors import HostError
from remainder.flow import Address
from remainder.kernel import attach, counters, dataplane, hook, image, netlink, pins
from remainder.kernel.dataplane import PROGRAMS, Dataplane
from remainder.kernel.hook import Hook
from remainder.kernel.image import OwnerName
from remainder.kernel.netlink import Interface
from remainder.kernel.pins import Attached
from remainder.kernel.plane import Plane, Prepared, Warn, Wish
from remainder.kernel.tables import Facts, Tables
from remainder.plan import Plan, Role


@dataclass
class BpfPlane:
    """A role's program and tables, attached."""

    node: str
    attached: Attached
    mode: str
    tables: Tables | None  # None: of another build, how they are laid out is not for us to know
    numbers: dict[OwnerName, int]
    is_current: bool = True
    """Whether the program is the one that this build would load."""

    @property
    def role(self) -> Role:
        """Whose it is."""
        return self.attached.dataplane.role

    @property
    def ifindex(self) -> int:
        """As kernel and pins say it."""
        return self.attached.ifindex

    def serves(self, plan: Plan, interface: Interface) -> bool:
        """Room and code enough, of this build."""
        return (
            self.is_current
            and self.tables is not None
            and self.attached.dataplane.serves(plan, mtu=interface.mtu)
        )

    def set_mac(self, address: Address, mac: bytes) -> None:
        """One aligned store for each service."""
        if self.tables is not None:
            self.tables.set_mac(address, mac)

    def set_own_mac(self, mac: bytes) -> None:
        """One aligned store."""
        if self.tables is not None:
            self.tables.set_own_mac(mac)

    def close(self) -> None:
        """Pins keep what runs."""
        self.attached.close()


class BpfPlanes:
    """The planes of this machine."""

    def find(
        self, node: str, role: Role, numbers: Mapping[OwnerName, int], *, code: str | None
    ) -> BpfPlane | None:
        """By its pins."""
        pins.ensure_bpffs()
        found = pins.find(node, role)
        if found is None:
            return None
        return BpfPlane(
            node=node,
            attached=found,
            mode=_mode_of(found),
            tables=found.dataplane.tables() if found.dataplane.is_ours else None,
            numbers=dict(numbers),
            is_current=code == self.fingerprint(role),
        )

    def prepare(self, wish: Wish, running: Plane | None) -> Prepared:
        """In place, by another program in its place, or at a place that has none yet."""
        pins.ensure_bpffs()
        Tables.refuse_too_many(wish.on_link)
        if not isinstance(running, BpfPlane) or running.ifindex != wish.interface.index:
            return Attaching.prepared(wish, running if isinstance(running, BpfPlane) else None)
        if running.serves(wish.plan, wish.interface):
            return Publishing.prepared(wish, running)
        return Replacing.prepared(wish, running)

    def remove(self, node: str, role: Role) -> bool:
        """Detach, and take the pins away."""
        found = pins.folder_of(node, role).exists()
        pins.remove(node, role)
        return found

    def fingerprint(self, role: Role) -> str:
        """SHA-256 of the object."""
        return dataplane.code_fingerprint(role)


def _mode_of(found: Attached) -> str:
    """How it is attached: as the interface says of XDP, else the way."""
    way = found.link.way
    if way != "XDP":
        return way
    return (netlink.interface_at(found.ifindex).xdp_mode if found.ifindex else None) or "native"


def _load(wish: Wish, before: Dataplane | None) -> Dataplane:
    """A program for a wish, which goes on with the counters of the one before it."""
    return dataplane.load(
        image.capacity_for(wish.plan),
        dataplane.features_for(wish.plan, mtu=wish.interface.mtu),
        role=wish.plan.role,
        counters={name: before.maps[name] for name in ("outcomes", "servers")} if before else None,
    )


def _tell(tables: Tables, wish: Wish) -> None:
    """What packets must know beside the tables."""
    tables.set_own_mac(wish.interface.mac)
    if wish.cluster_mac is not None:
        tables.set_cluster_mac(wish.cluster_mac)
    tables.set_on_link(wish.on_link)


def fill(
    tables: Tables, program: Dataplane, wish: Wish, before: Mapping[OwnerName, int]
) -> dict[OwnerName, int]:
    """Write a wish's plan out of sight; the counter of each owner."""
    numbers, fresh = image.allocate_counters(wish.plan, before)
    # Whoever left with the last publication is counted for no more, so its
    # counter is free; and set to zero before a packet of the new plan counts.
    tables.wait_for_readers()
    for number in fresh:
        counters.write(program.maps["servers"], number)
    tables.fill(image.image_of(wish.plan, tables.capacity, counters=numbers, macs=wish.macs))
    return numbers


def move_counters(
    plan: Plan, before: Mapping[OwnerName, int], old: Dataplane, new: Dataplane
) -> dict[OwnerName, int]:
    """Into a map of another size: whoever stays is numbered anew, and keeps its count."""
    if new.maps["servers"].map_id == old.maps["servers"].map_id:
        return dict(before)
    if not dataplane.counts_alike(old.maps["servers"]):
        return {}
    numbers, _ = image.allocate_counters(plan, {})
    stay = {name: numbers[name] for name in numbers if name in before}
    for name, number in stay.items():
        count = counters.read(old.maps["servers"], before[name])
        counters.write(new.maps["servers"], number, count)
    return stay


@dataclass
class Publishing:
    """The other half of the tables becomes current: one store."""

    wish: Wish
    plane: BpfPlane
    tables: Tables
    numbers: dict[OwnerName, int]
    facts: Facts
    risk: int = 0

    @classmethod
    def prepared(cls, wish: Wish, plane: BpfPlane) -> Publishing:
        """Fill the half that no packet reads."""
        assert plane.tables is not None  # noqa: S101  (`serves` says so)
        numbers = fill(plane.tables, plane.attached.dataplane, wish, plane.numbers)
        return cls(wish, plane, plane.tables, numbers, plane.tables.facts())

    def commit(self, warn: Warn) -> BpfPlane:
        """Cannot fail."""
        del warn
        _tell(self.tables, self.wish)
        self._swap()
        return self.plane

    def undo(self) -> None:
        """The half before was not written to."""
        self.tables.set_facts(self.facts)
        self._swap()

    def _swap(self) -> None:
        self.tables.flip()
        self.plane.numbers, self.numbers = self.numbers, self.plane.numbers

    def finish(self) -> None:
        """Nothing is held."""

    def discard(self) -> None:
        """The next publication overwrites it."""


@dataclass(frozen=True)
class _Runs:
    """What a plane runs."""

    attached: Attached
    tables: Tables | None
    numbers: dict[OwnerName, int]
    is_current: bool

    @classmethod
    def of(cls, plane: BpfPlane) -> _Runs:
        """Now."""
        return cls(plane.attached, plane.tables, plane.numbers, plane.is_current)

    def become(self, plane: BpfPlane) -> None:
        """Of a plane whose program was replaced."""
        plane.attached.replace(self.attached.dataplane)
        plane.attached, plane.tables = self.attached, self.tables
        plane.numbers, plane.is_current = self.numbers, self.is_current


@dataclass
class Replacing:
    """Another program takes over the place of the one that runs, with tables of its own."""

    plane: BpfPlane
    before: _Runs
    after: _Runs
    risk: int = 1

    @classmethod
    def prepared(cls, wish: Wish, plane: BpfPlane) -> Replacing:
        """Load, fill, and pin beside what runs."""
        old = plane.attached
        loaded = _load(wish, old.dataplane)
        folder = pins.next_folder(plane.node, plane.role)
        try:
            tables = loaded.tables()
            _tell(tables, wish)
            counted = move_counters(wish.plan, plane.numbers, old.dataplane, loaded)
            if plane.tables is not None:
                plane.tables.wait_for_readers()
            numbers = fill(tables, loaded, wish, counted)
            tables.flip()
            loaded.pin(folder)
        except BaseException:
            dataplane.unpin(folder)
            loaded.close()
            raise
        attached = Attached(old.link, old.companion, old.ifindex, folder, loaded)
        return cls(plane, _Runs.of(plane), _Runs(attached, tables, numbers, is_current=True))

    def commit(self, warn: Warn) -> BpfPlane:
        """Program and companion, both or neither."""
        del warn
        self.after.become(self.plane)
        if self.after.tables is not None:  # until now packets met the old program, which counts too
            self.after.tables.begin_to_wait()
        return self.plane

    def undo(self) -> None:
        """The program before is still there."""
        self.before.become(self.plane)

    def finish(self) -> None:
        """The program before goes."""
        pins.remove_others(self.plane.node, self.plane.role, keep=self.after.attached.folder)
        self.before.attached.dataplane.close()

    def discard(self) -> None:
        """The program that was loaded goes."""
        dataplane.unpin(self.after.attached.folder)
        self.after.attached.dataplane.close()


@dataclass
class Attaching:
    """A program at a place that has none of ours yet; an old one elsewhere goes afterwards."""

    wish: Wish
    old: BpfPlane | None
    loaded: Dataplane
    folder: Path
    tables: Tables
    numbers: dict[OwnerName, int]
    hooks: dict[str, Hook]
    in_the_way: bool = False
    """A program of ours, which lost its companion, stands where the new one goes."""
    risk: int = 2

    @classmethod
    def prepared(cls, wish: Wish, old: BpfPlane | None) -> Attaching:
        """Refuse a place that is taken; load, fill and pin."""
        role = wish.plan.role
        there = wish.interface.xdp_program if PROGRAMS[role].xdp else None
        in_the_way = there is not None and there in pins.programs_of(wish.node, role)
        if there is not None and not in_the_way:
            raise attach.foreign_program(wish.interface)
        loaded = _load(wish, None)
        folder = pins.next_folder(wish.node, role)
        try:
            tables = loaded.tables()
            _tell(tables, wish)
            numbers = fill(tables, loaded, wish, {})
            tables.flip()
            loaded.pin(folder)
        except BaseException:
            dataplane.unpin(folder)
            loaded.close()
            raise
        return cls(wish, old, loaded, folder, tables, numbers, {}, in_the_way=in_the_way)

    @property
    def _here(self) -> Path:
        return pins.folder_of(self.wish.node, self.wish.plan.role)

    def commit(self, warn: Warn) -> BpfPlane:
        """Companion first: it changes nothing by itself."""
        suffix = pins.NEXT if self.old else ""
        if self.in_the_way:
            pins.detach_old(self.wish.node, self.wish.plan.role)
        try:
            if self.loaded.companion_fd is not None:
                self.hooks["companion"] = hook.beside_stack(
                    self.loaded.companion_fd,
                    self.wish.interface.index,
                    "ingress",
                    self._here / f"companion{suffix}",
                )
            mode = self._attach(self._here / f"link{suffix}", warn)
        except BaseException:
            self._detach()
            raise
        attached = Attached(
            self.hooks["link"],
            self.hooks.get("companion"),
            self.wish.interface.index,
            self.folder,
            self.loaded,
        )
        return BpfPlane(self.wish.node, attached, mode, self.tables, self.numbers)

    def _attach(self, path: Path, warn: Warn) -> str:
        interface, program_fd = self.wish.interface, self.loaded.program_fd
        if not PROGRAMS[self.wish.plan.role].xdp:
            self.hooks["link"] = hook.beside_stack(program_fd, interface.index, "egress", path)
            return self.hooks["link"].way
        link_fd, mode = attach.attach(program_fd, interface, self.wish.mode, warn)
        self.hooks["link"] = hook.link(link_fd, path)
        return mode

    def undo(self) -> None:
        """Detach; what ran elsewhere was not touched."""
        self._detach()

    def _detach(self) -> None:
        for name in ("link", "companion"):
            found = self.hooks.pop(name, None)
            if found is not None:
                with suppress(HostError):
                    found.detach(pins.programs_in(self.folder))
                found.close()

    def finish(self) -> None:
        """What ran elsewhere goes, and the new one takes over its names."""
        if self.old is None:
            pins.remove_others(self.wish.node, self.wish.plan.role, keep=self.folder)
            return
        self.old.close()
        pins.give_way(self.wish.node, self.wish.plan.role, keep=self.folder)

    def discard(self) -> None:
        """What was loaded goes, and the folder of the role if nothing else is in it."""
        dataplane.unpin(self.folder)
        self.loaded.close()
        pins.tidy(self.wish.node, self.wish.plan.role)
