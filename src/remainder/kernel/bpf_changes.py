"""The three ways to change what packets meet: a store, another program, another place.

Each prepares all that can fail, out of sight; see plane.py for the steps.
Laws: prepare everything, then commit; publishing is one write.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from remainder.errors import HostError
from remainder.kernel import attach, counters, dataplane, hook, image, pins
from remainder.kernel.bpf_plane import BpfPlane
from remainder.kernel.dataplane import PROGRAMS, Dataplane
from remainder.kernel.hook import Hook
from remainder.kernel.image import OwnerName
from remainder.kernel.pins import Attached
from remainder.kernel.plane import Wish
from remainder.kernel.tables import Facts, Tables
from remainder.messages import Warn
from remainder.plan import Plan


def _load(wish: Wish, before: Dataplane | None) -> Dataplane:
    """A program for a wish, which goes on with the counters of the one before it."""
    return dataplane.load(
        image.capacity_for(wish.plan),
        dataplane.features_for(wish.plan, mtu=wish.interface.mtu, vlan=wish.interface.vlan),
        role=wish.plan.role,
        counters={name: before.maps[name] for name in ("outcomes", "servers")} if before else None,
    )


def _tell(tables: Tables, wish: Wish) -> None:
    """What packets must know beside the tables."""
    tables.set_own_mac(wish.interface.mac)
    if wish.cluster_mac is not None:
        tables.set_cluster_mac(wish.cluster_mac)
    tables.set_on_link(wish.on_link)
    tables.set_own_macs(wish.own_macs)
    tables.set_vlan(wish.interface.vlan)


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


@dataclass(frozen=True)
class _Made:
    """A program with filled tables, pinned and not attached."""

    loaded: Dataplane
    folder: Path
    tables: Tables
    numbers: dict[OwnerName, int]

    def drop(self) -> None:
        """It was not needed."""
        dataplane.unpin(self.folder)
        self.loaded.close()


def _make(wish: Wish, before: BpfPlane | None) -> _Made:
    """Load, fill and pin; the counters of the plane before come along."""
    old = before.attached.dataplane if before is not None else None
    loaded = _load(wish, old)
    folder = pins.next_folder(wish.node, wish.plan.role)
    try:
        tables = loaded.tables()
        _tell(tables, wish)
        counted: dict[OwnerName, int] = {}
        if before is not None and old is not None:
            counted = move_counters(wish.plan, before.numbers, old, loaded)
            if before.tables is not None:
                before.tables.wait_for_readers()
        numbers = fill(tables, loaded, wish, counted)
        tables.flip()
        loaded.pin(folder)
    except BaseException:
        dataplane.unpin(folder)
        loaded.close()
        raise
    return _Made(loaded, folder, tables, numbers)


@dataclass
class Publishing:
    """The other half of the tables becomes current: one store."""

    wish: Wish
    plane: BpfPlane
    tables: Tables
    numbers: dict[OwnerName, int]
    facts: Facts
    risk: ClassVar[int] = 0

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
        """Nothing is held; what a process left that died halfway goes."""
        pins.sweep(self.plane.node, self.plane.role, keep=self.plane.attached.folder)

    def discard(self) -> None:
        """The next publication overwrites it."""


@dataclass(frozen=True)
class _Runs:
    """What a plane runs."""

    attached: Attached
    tables: Tables | None
    numbers: dict[OwnerName, int]
    code: str | None
    is_current: bool

    @classmethod
    def of(cls, plane: BpfPlane) -> _Runs:
        """Now."""
        return cls(plane.attached, plane.tables, plane.numbers, plane.code, plane.is_current)

    def become(self, plane: BpfPlane) -> None:
        """Of a plane whose program was replaced."""
        plane.attached.replace(self.attached.dataplane)
        plane.attached, plane.tables = self.attached, self.tables
        plane.numbers, plane.code, plane.is_current = self.numbers, self.code, self.is_current


@dataclass
class Replacing:
    """Another program takes over the place of the one that runs, with tables of its own."""

    wish: Wish
    plane: BpfPlane
    before: _Runs
    after: _Runs
    risk: ClassVar[int] = 1

    @classmethod
    def prepared(cls, wish: Wish, plane: BpfPlane) -> Replacing:
        """Load, fill, and pin beside what runs."""
        old, made = plane.attached, _make(wish, plane)
        attached = Attached(old.link, old.companion, old.ifindex, made.folder, made.loaded)
        code = dataplane.code_fingerprint(plane.role)
        after = _Runs(attached, made.tables, made.numbers, code, is_current=True)
        return cls(wish, plane, _Runs.of(plane), after)

    def commit(self, warn: Warn) -> BpfPlane:
        """Program and companion, both or neither; what was counted meanwhile comes along."""
        del warn
        old, new = self.before.attached.dataplane, self.after.attached.dataplane
        move_counters(self.wish.plan, self.before.numbers, old, new)
        self.after.become(self.plane)
        if self.after.tables is not None:  # until now packets met the old program, which counts too
            self.after.tables.begin_to_wait()
        return self.plane

    def undo(self) -> None:
        """The program before is still there."""
        self.before.become(self.plane)

    def finish(self) -> None:
        """The program before goes."""
        pins.sweep(self.plane.node, self.plane.role, keep=self.after.attached.folder)
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
    made: _Made
    hooks: dict[str, Hook]
    in_the_way: bool = False
    """A program of ours, which lost its companion, stands where the new one goes."""
    risk: ClassVar[int] = 2

    @classmethod
    def prepared(cls, wish: Wish, old: BpfPlane | None) -> Attaching:
        """Refuse a place that is taken; load, fill and pin."""
        role = wish.plan.role
        there = wish.interface.xdp_program if PROGRAMS[role].xdp else None
        in_the_way = there is not None and there in pins.programs_of(wish.node, role)
        if there is not None and not in_the_way:
            raise attach.foreign_program(wish.interface)
        # What ran until somebody detached it has counted for the same owners.
        stopped = old if old is not None and not old.attached.link.target()[1] else None
        made = _make(wish, stopped)
        return cls(wish, old, made, {}, in_the_way=in_the_way)

    @property
    def _here(self) -> Path:
        return pins.folder_of(self.wish.node, self.wish.plan.role)

    def commit(self, warn: Warn) -> BpfPlane:
        """Companion first: it changes nothing by itself."""
        role = self.wish.plan.role
        suffix = pins.NEXT if self.old else ""
        pins.detach_left(self.wish.node, role, suffix)
        there = self.old.attached.link.target()[1] if self.old else 0
        if self.in_the_way and there == self.wish.interface.index:
            pins.detach_old(self.wish.node, role)
        try:
            if self.made.loaded.companion_fd is not None:
                self.hooks["companion"] = hook.beside_stack(
                    self.made.loaded.companion_fd,
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
            self.made.folder,
            self.made.loaded,
        )
        code = dataplane.code_fingerprint(role)
        return BpfPlane(self.wish.node, attached, mode, self.made.tables, self.made.numbers, code)

    def _attach(self, path: Path, warn: Warn) -> str:
        interface, program_fd = self.wish.interface, self.made.loaded.program_fd
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
                    found.detach(pins.programs_in(self.made.folder))
                found.close()

    def finish(self) -> None:
        """What ran elsewhere goes, and the new one takes over its names."""
        if self.old is None:
            pins.sweep(self.wish.node, self.wish.plan.role, keep=self.made.folder)
            return
        self.old.close()
        pins.give_way(self.wish.node, self.wish.plan.role, keep=self.made.folder)
        for name, here in self.hooks.items():
            here.path = self._here / name

    def discard(self) -> None:
        """What was loaded goes, and the folder of the role if nothing else is in it."""
        self.made.drop()
        pins.tidy(self.wish.node, self.wish.plan.role)
