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
    """To whom a packet is passed on, and what TTL it has then at most."""

    to: Owner
    ttl: int


def chance(
    way: Sequence[Owner], node: str | None, knowledge: Knowledge, *, ttl: int, earlier: int
) -> tuple[Outcome, Passed | None]:
    """What a server does with a packet, and to whom it passes it on, if to anybody.

    ``earlier`` is the number of earlier calculations.
    """
    names = [owner.name for owner in way]
    if node not in names or len(names) == 1:
        return Outcome.KEPT, None
    if knowledge in _KEPT:
        return _KEPT[knowledge], None
    position = names.index(node)
    if knowledge is Knowledge.KNOWN:
        return Outcome.KEPT_EARLIER if position else Outcome.KEPT_KNOWN, None
    # Who came halfway, from a balancer with an older file, has not met the first of the way.
    halfway = position > 0 and ttl > earlier + 1
    if position + 1 < len(way):
        most = 2 * earlier + 1 if halfway else earlier
        return Outcome.PASSED_ON, Passed(way[position + 1], most)
    if halfway:
        return Outcome.PASSED_ON, Passed(way[0], earlier + 1)
    return Outcome.KEPT_UNKNOWN, None
