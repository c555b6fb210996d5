"""Who keeps a packet whose slot changed its owner, and who is asked next: section 12.

Claims: 1, 2 (the server of a session stays the same).
Twin: bpf/second_chance.bpf.c.
Rule: pure; a way and what this node knows go in, an outcome comes out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from remainder.choice import Owner
from remainder.config import MAX_EARLIER
from remainder.outcome import Outcome
from remainder.reference.sockets import Knowledge

HALFWAY: Final = MAX_EARLIER + 2
"""A TTL from here on says that no server has begun the way of a packet.

A balancer with an older file has sent it halfway; how much the TTL is above says how many
calculations are older than the one by which it came.
"""

_KEPT: Final[Mapping[Knowledge, Outcome]] = {
    Knowledge.NONE: Outcome.KEPT,
    Knowledge.NEW: Outcome.KEPT_NEW,
    Knowledge.BLIND: Outcome.KEPT_BLIND,
}
"""Kept whoever comes next on the way."""


@dataclass(frozen=True)
class Passed:
    """To whom a packet is passed on, and what TTL it has then at most."""

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


def _next(owners: Sequence[Owner], node: str, ttl: int) -> Passed | None:
    """Who is asked after a node that does not know the session; None if it is the last."""
    names, earlier = [owner.name for owner in owners], len(owners) - 1
    if names[0] != node and ttl >= HALFWAY:
        return _down(owners, node, ttl) or Passed(owners[0], earlier + 1)
    way = list({owner.name: owner for owner in owners}.values())
    after = way[[owner.name for owner in way].index(node) + 1 :]
    return Passed(after[0], earlier) if after else None


def _down(owners: Sequence[Owner], node: str, ttl: int) -> Passed | None:
    """Of a packet that came halfway: the owner by the calculation before that it came by."""
    oldest = len(owners) - 1
    met = oldest - (ttl - HALFWAY) if ttl < HALFWAY + MAX_EARLIER else 1
    came_by = False
    for age, owner in enumerate(owners):
        if owner.name == node:
            came_by = came_by or age >= met
        elif came_by:
            return Passed(owner, HALFWAY + oldest - age)
    return None
