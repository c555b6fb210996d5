"""Who keeps a packet whose slot changed its owner, and who is asked next: section 12.

Claims: 1, 2 (the server of a session stays the same).
Twin: bpf/second_chance.bpf.c.
Rule: pure; a way and what this node knows go in, an outcome comes out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from remainder.choice import Owner
from remainder.config import MAX_EARLIER
from remainder.outcome import Outcome
from remainder.reference.sockets import Knowledge

_KEPT: Final[Mapping[Knowledge, Outcome]] = {
    Knowledge.NONE: Outcome.KEPT,
    Knowledge.NEW: Outcome.KEPT_NEW,
    Knowledge.BLIND: Outcome.KEPT_BLIND,
}
"""Kept whoever comes next on the way."""


@dataclass(frozen=True)
class Passed:
    """To whom a packet is passed on, and what TTL it has then."""

    to: Owner
    ttl: int


def chance(
    owners: Sequence[Owner], node: str | None, knowledge: Knowledge, *, ttl: int
) -> tuple[Outcome, Passed | None]:
    """What a server does with a packet, and to whom it passes it on, if to anybody.

    ``owners`` are those that the calculations name, newest first; each once they are the way.
    """
    names = [owner.name for owner in owners]
    if node is None or node not in names or len(set(names)) == 1:
        return Outcome.KEPT, None
    if knowledge in _KEPT:
        return _KEPT[knowledge], None
    if knowledge is Knowledge.KNOWN:
        return Outcome.KEPT_KNOWN if names[0] == node else Outcome.KEPT_EARLIER, None
    passed = _next(owners, node, ttl)
    return (Outcome.PASSED_ON if passed else Outcome.KEPT_UNKNOWN), passed


@dataclass(frozen=True)
class Leg:
    """What a TTL says of a packet on its way.

    ``length`` and ``left`` count calculations from the oldest, so they mean the same in a file
    that has one more.
    """

    length: int
    """by how many calculations the packet goes, but for the first"""
    left: int
    """how many of them are left"""
    halfway: bool = False
    """a balancer with an older file has begun the way"""


LEGS: Final[Mapping[int, Leg]] = dict(
    enumerate(
        [
            *(
                Leg(length, left)
                for length in range(1, MAX_EARLIER + 1)
                for left in range(length + 1)
            ),
            *(
                Leg(length, left, halfway=True)
                for length in range(1, MAX_EARLIER)
                for left in range(length)
            ),
        ],
        start=1,
    )
)
"""TTL → what it says; a packet with a larger one comes from a balancer."""

_TTL_OF: Final[Mapping[Leg, int]] = {leg: ttl for ttl, leg in LEGS.items()}


def _next(owners: Sequence[Owner], node: str, ttl: int) -> Passed | None:
    """Who is asked after a node that does not know the session; None if nobody is left."""
    names, earlier = [owner.name for owner in owners], len(owners) - 1
    met = names.index(node)
    leg = LEGS.get(max(ttl, 1), Leg(earlier - met, earlier - met, halfway=met > 0))
    passed = _go_on(owners, node, leg)
    if passed is not None or not leg.halfway:
        return passed
    whole = Leg(earlier, earlier)
    if names[0] == node:
        return _go_on(owners, node, whole)
    return Passed(owners[0], _TTL_OF[whole])


def _go_on(owners: Sequence[Owner], node: str, leg: Leg) -> Passed | None:
    """To the first calculation after the one by which a packet came that names somebody new."""
    names, earlier = [owner.name for owner in owners], len(owners) - 1
    at, first = earlier - leg.left, max(earlier - leg.length, 0)
    asked = {node, *names[first : max(at + 1, 0)]}
    for age in range(max(at + 1, 1), earlier + 1):
        if names[age] not in asked:
            return Passed(owners[age], _TTL_OF[replace(leg, left=earlier - age)])
    return None
