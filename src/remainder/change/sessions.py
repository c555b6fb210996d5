"""How many of some given sessions move, how many break, and what load each owner gets.

Claims: 13, 17 (each session is calculated, before and after).
Rule: pure; every flow is answered by both plans, so the counts are exact.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from remainder.change.comparing import machine
from remainder.change.flow_lists import Seen
from remainder.fleet import Tier, TierKind
from remainder.flow import PROTOCOLS
from remainder.plan import Plan, PlannedChoice

Machines = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Counted:
    """Sessions of one choice, or of all."""

    sessions: int = 0
    """that had an owner before"""
    moved: int = 0
    broken: int = 0
    """without the second chance: all that moved"""
    broken_with_chance: int = 0
    load: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """owner → sessions before, and after"""

    def __add__(self, other: Counted) -> Counted:
        load = dict(self.load)
        for owner, (before, after) in other.load.items():
            was, now = load.get(owner, (0, 0))
            load[owner] = (was + before, now + after)
        return Counted(
            sessions=self.sessions + other.sessions,
            moved=self.moved + other.moved,
            broken=self.broken + other.broken,
            broken_with_chance=self.broken_with_chance + other.broken_with_chance,
            load=load,
        )


@dataclass(frozen=True, kw_only=True)
class Sessions:
    """What a change does to some sessions."""

    seen: int
    """all that were given"""
    by_choice: Mapping[tuple[TierKind, str], Counted]

    @property
    def total(self) -> Counted:
        """Of all choices together, without the loads."""
        every = self.by_choice.values()
        return Counted(
            sessions=sum(one.sessions for one in every),
            moved=sum(one.moved for one in every),
            broken=sum(one.broken for one in every),
            broken_with_chance=sum(one.broken_with_chance for one in every),
        )


def sessions(
    before: Sequence[Tier],
    after: Sequence[Tier],
    given: Sequence[Seen],
    nodes: Mapping[str, Collection[str]],
) -> Sessions:
    """Ask both files about every flow; ``nodes``: service → servers that pass on its sessions."""
    old = {(tier.kind, tier.name): tier.plan for tier in before}
    new = {(tier.kind, tier.name): tier.plan for tier in after}
    counted: dict[tuple[TierKind, str], Counted] = {}
    for place in dict.fromkeys([*new, *old]):
        kind, _ = place
        one = old.get(place) or Plan(choices=(), role=new[place].role)
        other = new.get(place) or Plan(choices=(), role=one.role)
        for some in given:
            _count(kind, _Ids(one, other, nodes), some, counted)
    return Sessions(seen=sum(int(some.counts.sum()) for some in given), by_choice=counted)


class _Ids:
    """Two plans of one tier, with a number for each machine in either."""

    def __init__(self, one: Plan, other: Plan, nodes: Mapping[str, Collection[str]]) -> None:
        self.one, self.other = one, other
        earlier = max((len(planned.before) for planned in other.choices), default=0)
        self.levels = [_level(other, number) for number in range(earlier)]
        everyone = [
            owner
            for plan in (one, *self.levels, other)
            for planned in plan.choices
            for owner in planned.owners
        ]
        self.number = {who: at for at, who in enumerate(dict.fromkeys(map(machine, everyone)))}
        self.name = {self.number[machine(owner)]: owner.name for owner in everyone}
        # one row for each choice of now, and a last one and column for none
        self.passes_on = np.zeros((len(other.choices) + 1, len(self.number) + 1), dtype=bool)
        for row, planned in enumerate(other.choices):
            for one_of_it in (planned, *planned.before):
                for owner in one_of_it.owners:
                    able = owner.name in nodes.get(planned.name, ())
                    self.passes_on[row, self.number[machine(owner)]] |= able

    def owners(self, plan: Plan, given: Seen) -> tuple[Machines, Machines]:
        """The choice of each flow, and its owner as a machine's number; -1 without."""
        answers = plan.where_many(given.flows)
        first = np.cumsum([0, *(len(planned.owners) for planned in plan.choices)])
        numbers = np.array(
            [
                self.number[machine(owner)]
                for planned in plan.choices
                for owner in planned.owners
            ],
            dtype=np.int64,
        )  # fmt: skip
        owned = answers.owner >= 0
        found = np.full(len(given.flows), -1, dtype=np.int64)
        found[owned] = numbers[first[answers.choice[owned]] + answers.owner[owned]]
        return answers.choice.astype(np.int64), found


def _level(plan: Plan, number: int) -> Plan:
    """The calculation so many changes ago, where there was one."""
    choices: list[PlannedChoice] = [
        planned.before[number] for planned in plan.choices if len(planned.before) > number
    ]
    return Plan(choices=tuple(choices), secret=plan.secret, role=plan.role)


def _count(
    kind: TierKind, ids: _Ids, given: Seen, counted: dict[tuple[TierKind, str], Counted]
) -> None:
    choice, was = ids.owners(ids.one, given)
    chosen_now, now = ids.owners(ids.other, given)
    moved = (was != now) & (was >= 0)
    lives = ~moved | _has_chance(kind, ids, given, was=was, now=(chosen_now, now))
    # one choice by its new name, or if it is gone by its old one
    names = [planned.name for planned in ids.one.choices]
    names_now = [planned.name for planned in ids.other.choices]
    for at, name in enumerate(names):
        rows = np.flatnonzero((choice == at) & (was >= 0))
        if not len(rows):
            continue
        where = chosen_now[rows[0]]
        shown = names_now[where] if where >= 0 else name
        counts = given.counts[rows]
        load: dict[str, tuple[int, int]] = {}
        for number, sessions_of_it in _by_owner(was[rows], counts):
            load[ids.name[number]] = (sessions_of_it, 0)
        for number, sessions_of_it in _by_owner(now[rows], counts):
            before, after = load.get(ids.name[number], (0, 0))
            load[ids.name[number]] = (before, after + sessions_of_it)
        gone = int(counts[moved[rows]].sum())
        counted[kind, shown] = counted.get((kind, shown), Counted()) + Counted(
            sessions=int(counts.sum()),
            moved=gone,
            broken=gone,
            broken_with_chance=int(counts[~lives[rows]].sum()),
            load=load,
        )


def _by_owner(owners: Machines, counts: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    found, inverse = np.unique(owners, return_inverse=True)
    loads = np.zeros(len(found), dtype=np.int64)
    np.add.at(loads, inverse, counts)
    return [(int(at), int(load)) for at, load in zip(found, loads, strict=True) if at >= 0]


def _has_chance(
    kind: TierKind, ids: _Ids, given: Seen, *, was: Machines, now: tuple[Machines, Machines]
) -> npt.NDArray[np.bool_]:
    """Whose session is passed on by the earlier calculations of the new file."""
    found = np.zeros(len(given.flows), dtype=bool)
    if kind != "service":
        return found  # nobody else asks them
    choice, owner = now
    passed = (owner >= 0) & (given.flows.protocol == PROTOCOLS["tcp"])
    passed &= ids.passes_on[choice, owner]
    for level in ids.levels:
        _, then = ids.owners(level, given)
        found |= passed & (then == was) & (then >= 0)
        passed &= ids.passes_on[choice, then] | (then < 0)
    return found
