"""What ``plan --json`` prints."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Final

from msgspec import Struct

from remainder.change.chance import Breaks
from remainder.change.difference import Basis, Difference
from remainder.change.outlook import Outlook
from remainder.change.sessions import Counted, Sessions
from remainder.cli.documents import Port, Version
from remainder.fleet import TierKind
from remainder.plan import PlannedChoice

MOST_ROWS: Final = 1_000
"""Most shifts and ranges of a choice in a document."""


class PlannedCalculation(Struct, kw_only=True):
    """How a choice is made."""

    key: str
    table: str
    slots: int


class PlannedOwner(Struct, kw_only=True):
    """An owner before and after; shares are of all flows of the choice, from 0 to 1."""

    name: str
    slots_before: int
    slots_after: int
    share_before: float
    share_after: float
    loses: float
    gains: float


class PlannedShift(Struct, kw_only=True):
    """Flows that go from one owner to another."""

    source: str
    target: str
    share: float


class PlannedClasses(Struct, kw_only=True):
    """The flows with ``expression % modulus`` in one of the ranges stay, the others move."""

    expression: str
    modulus: int
    stay: list[tuple[int, int]]
    """first and last remainder; the first 1,000 ranges"""
    ranges: int
    """how many there are"""


class PlannedBreaks(Struct, kw_only=True):
    """Shares of the sessions that break, from 0 to 1."""

    without_second_chance: float
    with_second_chance: float | None
    """null: there is no second chance"""
    listed: bool
    """whether the new file lists the earlier calculation"""
    unable: list[str]
    """owners that cannot pass on, or keep, the sessions of others"""
    why: str


class PlannedDifference(Struct, kw_only=True):
    """A service, cluster or return path before and after."""

    kind: TierKind
    name: str
    vip: str
    port: Port
    protocol: str
    before: PlannedCalculation | None
    """null: it is new"""
    after: PlannedCalculation | None
    """null: it is gone"""
    basis: Basis
    moved: float
    """share of the flows whose owner changes, from 0 to 1"""
    moved_keys: int
    """the same as a whole number of ``period`` keys"""
    period: int
    least: float
    """what any table with these shares would move"""
    slots_moved: int | None
    owners: list[PlannedOwner]
    shifts: list[PlannedShift]
    """largest first; the first 1,000"""
    shift_count: int
    """how many there are"""
    classes: PlannedClasses | None
    """null: a hash, another key, or more than two million classes"""
    breaks: PlannedBreaks


class PlannedLoad(Struct, kw_only=True):
    """Sessions of an owner before and after."""

    before: int
    after: int


class PlannedSessions(Struct, kw_only=True):
    """What becomes of the given sessions of a choice."""

    kind: TierKind
    name: str
    sessions: int
    moved: int
    broken: int
    """without the second chance"""
    broken_with_chance: int
    """with the earlier calculations that the new file lists"""
    load: dict[str, PlannedLoad]


class PlannedFlows(Struct, kw_only=True):
    """What becomes of the given flows."""

    seen: int
    sessions: int
    """of a choice of the old file"""
    moved: int
    broken: int
    broken_with_chance: int
    choices: list[PlannedSessions]


class PlanDocument(Struct, kw_only=True):
    """``remainder plan OLD NEW --json``."""

    version: Version = 1
    moved: float
    """what ``--max-moved`` compares, from 0 to 1"""
    differences: list[PlannedDifference]
    flows: PlannedFlows | None
    """null without ``--flows`` and ``--capture``"""
    steps: list[str]


DOCUMENTS: Final[Mapping[str, Any]] = {"plan": PlanDocument}


def document(found: Outlook) -> PlanDocument:
    """The document of an outlook."""
    return PlanDocument(
        moved=float(found.moved),
        differences=[_difference(one, broken) for one, broken in found.differences],
        flows=None if found.sessions is None else _flows(found.sessions),
        steps=list(found.steps),
    )


def _difference(one: Difference, broken: Breaks) -> PlannedDifference:
    vip, port, protocol = one.match.written()
    return PlannedDifference(
        kind=one.kind,
        name=one.name,
        vip=vip,
        port=port,
        protocol=protocol,
        before=_calculation(one.before),
        after=_calculation(one.after),
        basis=one.basis,
        moved=float(one.moved),
        moved_keys=int(one.moved * one.period),
        period=one.period,
        least=float(one.least),
        slots_moved=one.slots_moved,
        owners=[
            PlannedOwner(
                name=owner.name,
                slots_before=owner.slots[0],
                slots_after=owner.slots[1],
                share_before=float(owner.share[0]),
                share_after=float(owner.share[1]),
                loses=float(owner.loses),
                gains=float(owner.gains),
            )
            for owner in one.owners
        ],
        shifts=[
            PlannedShift(source=shift.source, target=shift.target, share=float(shift.share))
            for shift in one.shifts[:MOST_ROWS]
        ],
        shift_count=one.shift_count,
        classes=None
        if one.classes is None
        else PlannedClasses(
            expression=one.classes.expression,
            modulus=one.classes.modulus,
            stay=list(one.classes.stay[:MOST_ROWS]),
            ranges=len(one.classes.stay),
        ),
        breaks=PlannedBreaks(
            without_second_chance=float(broken.without),
            with_second_chance=_float(broken.with_chance),
            listed=broken.listed,
            unable=list(broken.unable),
            why=broken.why,
        ),
    )


def _calculation(planned: PlannedChoice | None) -> PlannedCalculation | None:
    if planned is None:
        return None
    return PlannedCalculation(key=str(planned.key), table=planned.choice.table, slots=planned.slots)


def _float(share: Fraction | None) -> float | None:
    return None if share is None else float(share)


def _flows(found: Sessions) -> PlannedFlows:
    total = found.total
    return PlannedFlows(
        seen=found.seen,
        sessions=total.sessions,
        moved=total.moved,
        broken=total.broken,
        broken_with_chance=total.broken_with_chance,
        choices=[_sessions(kind, name, one) for (kind, name), one in found.by_choice.items()],
    )


def _sessions(kind: TierKind, name: str, one: Counted) -> PlannedSessions:
    return PlannedSessions(
        kind=kind,
        name=name,
        sessions=one.sessions,
        moved=one.moved,
        broken=one.broken,
        broken_with_chance=one.broken_with_chance,
        load={
            owner: PlannedLoad(before=before, after=after)
            for owner, (before, after) in one.load.items()
        },
    )
