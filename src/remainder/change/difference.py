"""What moves between two plans: exactly, from whom to whom, and the least that had to.

Claims: 13, 17 (the formulas, before and after a change).
Rule: pure.  An owner is a machine: it is known by its address, a member by its name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from remainder.change.classes import Classes, classes_of
from remainder.change.comparing import key_offset, machine
from remainder.change.moves import moves, period_of
from remainder.choice import Match, Owner
from remainder.fleet import Tier, TierKind
from remainder.plan import PlannedChoice
from remainder.selection import Table

MOST_SHIFTS: Final = 4_096
"""Shifts of a choice that are told apart."""

_MOST_HELD: Final = 1 << 20

Basis = Literal["exact", "independent"]
"""exact: counted over all keys; independent: the keys have nothing in common: shares multiply."""


@dataclass(frozen=True, kw_only=True)
class Shift:
    """Flows that go from one owner to another."""

    source: str
    target: str
    share: Fraction


@dataclass(frozen=True, kw_only=True)
class OwnerChange:
    """An owner before and after: 0 slots where it is not listed."""

    name: str
    slots: tuple[int, int]
    share: tuple[Fraction, Fraction]
    loses: Fraction
    gains: Fraction


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A choice before and after; one of the two may be missing."""

    kind: TierKind
    match: Match
    before: PlannedChoice | None
    after: PlannedChoice | None
    basis: Basis
    period: int
    """keys that were counted"""
    moved: Fraction
    """share of the flows whose owner changes"""
    least: Fraction
    """what any table with these shares would move"""
    slots_moved: int | None
    """slots whose owner changes; None where slots cannot be compared"""
    owners: Sequence[OwnerChange]
    shifts: Sequence[Shift]
    """the largest 4,096, largest first; without those that stay"""
    shift_count: int
    """how many there are"""
    classes: Classes | None
    """which clients stay, under a sum; None without"""
    names: Mapping[str, str]
    """machine → how it is called here"""

    def shown(self, owner: Owner) -> str:
        """How an owner is called here."""
        return self.names[machine(owner)]

    @property
    def name(self) -> str:
        """Of the choice now, or of the one that is gone."""
        found = self.after or self.before
        return found.name if found else ""


def differences(before: Sequence[Tier], after: Sequence[Tier]) -> list[Difference]:
    """Every choice of two files: in the order of the new one, then those that are gone."""
    old, new = _choices(before), _choices(after)
    found = []
    for place in dict.fromkeys([*new, *old]):
        kind, match = place
        one, other = old.get(place), new.get(place)
        found.append(_difference(kind, match, one, other))
    return found


def _choices(
    tiers: Sequence[Tier],
) -> dict[tuple[TierKind, Match], tuple[PlannedChoice, bytes | None]]:
    return {
        (tier.kind, planned.choice.match): (planned, tier.plan.secret)
        for tier in tiers
        for planned in tier.plan.choices
    }


def _difference(
    kind: TierKind,
    match: Match,
    old: tuple[PlannedChoice, bytes | None] | None,
    new: tuple[PlannedChoice, bytes | None] | None,
) -> Difference:
    if old is None or new is None:
        everything = Fraction(int(old is not None))
        return Difference(
            kind=kind, match=match, before=old[0] if old else None, after=new[0] if new else None,
            basis="exact", period=1, moved=everything, least=everything, slots_moved=None,
            owners=(), shifts=(), shift_count=0, classes=None, names={},
        )  # fmt: skip
    (one, old_secret), (other, new_secret) = old, new
    offset = key_offset(one.choice, other.choice, same_secret=old_secret == new_secret)
    later = other.table if offset is None else np.roll(other.table, -(offset % other.slots))
    counted = _counted(one, other, later, same_key=offset is not None)
    shares = [owner.share for owner in counted.owners]
    alike = one.slots == other.slots and offset == 0
    return Difference(
        kind=kind,
        match=match,
        before=one,
        after=other,
        basis="independent" if offset is None else "exact",
        period=counted.period,
        moved=counted.moved,
        least=sum((max(was - now, Fraction(0)) for was, now in shares), Fraction(0)),
        slots_moved=_slots_moved(one, other) if alike else None,
        owners=counted.owners,
        shifts=counted.shifts,
        shift_count=counted.count,
        classes=classes_of(one, later, other, offset=offset),
        names=names_of(one, other),
    )  # fmt: skip


def _slots_moved(one: PlannedChoice, other: PlannedChoice) -> int:
    known: dict[str, int] = {}
    was, now = (
        np.array([known.setdefault(machine(owner), len(known)) for owner in planned.owners])[
            planned.table
        ]
        for planned in (one, other)
    )
    return int((was != now).sum())


@dataclass(frozen=True, kw_only=True)
class _Counted:
    period: int
    moved: Fraction
    owners: Sequence[OwnerChange]
    shifts: Sequence[Shift]
    count: int


def _counted(one: PlannedChoice, other: PlannedChoice, later: Table, *, same_key: bool) -> _Counted:
    period = period_of(one.table, later, same_key=same_key)
    names = names_of(one, other)
    number = {who: at for at, who in enumerate(names)}
    sources = np.array([number[machine(owner)] for owner in one.owners])
    targets = np.array([number[machine(owner)] for owner in other.owners])
    loses, gains = (np.zeros(len(names), dtype=np.int64) for _ in range(2))
    largest = _Largest()
    count = 0
    for source, row in moves(one.table, later, same_key=same_key):
        who, taking = sources[source], np.flatnonzero(row)
        taking = taking[targets[taking] != who]
        loses[who] += row[taking].sum()
        gains[targets[taking]] += row[taking]
        count += len(taking)
        largest.add(row[taking], int(who), targets[taking])
    was, now = _owned(one), _owned(other)
    shown = list(names.values())
    return _Counted(
        period=period,
        moved=Fraction(int(loses.sum()), period),
        owners=tuple(
            OwnerChange(
                name=name,
                slots=(was.get(who, 0), now.get(who, 0)),
                share=(
                    Fraction(was.get(who, 0), one.slots),
                    Fraction(now.get(who, 0), other.slots),
                ),
                loses=Fraction(int(loses[at]), period),
                gains=Fraction(int(gains[at]), period),
            )
            for at, (who, name) in enumerate(names.items())
        ),
        shifts=tuple(
            Shift(source=shown[who], target=shown[whom], share=Fraction(keys, period))
            for keys, who, whom in largest.rows()
        ),
        count=count,
    )


class _Largest:
    """The largest of many rows (keys, from whom, to whom), in their order."""

    def __init__(self) -> None:
        self._parts: list[npt.NDArray[np.int64]] = []
        self._held = 0

    def add(self, keys: npt.NDArray[np.int64], who: int, whom: npt.NDArray[np.int64]) -> None:
        """Some rows more."""
        self._parts.append(np.stack((keys, np.full(len(keys), who), whom)))
        self._held += len(keys)
        if self._held > _MOST_HELD:
            self._parts = [self._best()]
            self._held = self._parts[0].shape[1]

    def rows(self) -> list[list[int]]:
        """Largest first."""
        return self._best().T.tolist() if self._parts else []

    def _best(self) -> npt.NDArray[np.int64]:
        rows = np.concatenate(self._parts, axis=1)
        order = np.lexsort((rows[2], rows[1], -rows[0]))[:MOST_SHIFTS]
        best: npt.NDArray[np.int64] = rows[:, order]
        return best


def _owned(planned: PlannedChoice) -> dict[str, int]:
    owned = np.bincount(planned.table, minlength=len(planned.owners)).tolist()
    return {machine(owner): owned[at] for at, owner in enumerate(planned.owners)}


def names_of(one: PlannedChoice, other: PlannedChoice) -> dict[str, str]:
    """Machine → its name now, else before; with its address where a name has two machines."""
    everyone = [*other.owners, *one.owners]
    names = {machine(owner): owner.name for owner in reversed(everyone)}
    several = [*names.values()]
    return {
        machine(owner): names[machine(owner)]
        if several.count(names[machine(owner)]) == 1
        else f"{names[machine(owner)]} ({machine(owner)})"
        for owner in [*one.owners, *other.owners]
    }
