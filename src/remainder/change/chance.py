"""What a change breaks: without the second chance, and with it.

A session that moved meets a server that does not know it.  If the new file lists the
earlier calculation and names that server's interface, it passes the session on to the
server that does.
Rule: pure; sessions are TCP sessions.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from remainder.change.comparing import machine
from remainder.change.difference import Difference
from remainder.flow import PROTOCOLS, protocol_name
from remainder.plan import PlannedChoice


@dataclass(frozen=True, kw_only=True)
class Breaks:
    """Shares of the sessions that a change breaks."""

    without: Fraction
    """if nobody is asked again"""
    with_chance: Fraction | None
    """if the new file lists the earlier calculation; None: there is no second chance"""
    listed: bool
    """whether it does"""
    unable: Sequence[str]
    """owners that get sessions of others and cannot help, because of how the new file has them"""
    why: str
    """why there is no second chance, or why some sessions break in spite of it; else empty"""

    @property
    def expected(self) -> Fraction:
        """What installing the new file breaks, in the right order."""
        return self.with_chance if self.listed and self.with_chance is not None else self.without


def breaks(found: Difference, nodes: Collection[str]) -> Breaks:
    """What a difference breaks; ``nodes``: servers that the new file lists with their interface."""
    why = _never(found)
    if why or found.before is None or found.after is None:
        return Breaks(without=found.moved, with_chance=None, listed=False, unable=(), why=why)
    deaf = {found.shown(owner) for owner in found.after.owners if owner.name not in nodes}
    unable = {owner.name: owner.gains for owner in found.owners if owner.name in deaf}
    why = "servers without an interface in the new file cannot pass sessions on"
    broken = sum(unable.values(), Fraction(0))
    return Breaks(
        without=found.moved,
        with_chance=broken,
        listed=any(same_calculation(found.before, one) for one in found.after.before),
        unable=[name for name, share in unable.items() if share],
        why=why if broken else "",
    )


def same_calculation(one: PlannedChoice, other: PlannedChoice) -> bool:
    """Whether two planned choices answer every flow of their match alike."""
    if one.key.hashed != other.key.hashed or {*one.key.fields} != {*other.key.fields}:
        return False
    if one.slots != other.slots:
        return False
    was, now = (
        np.array([machine(owner) for owner in planned.owners])[planned.table]
        for planned in (one, other)
    )
    return bool((was == now).all())


def _never(found: Difference) -> str:
    """Why no second chance can be had; empty if it can."""
    if found.before is None:
        return ""
    if found.after is None:
        return "the new file has nothing for these packets"
    match = found.match
    if found.kind == "return_path":
        return "a return path has no earlier calculations: answers of these flows change the router"
    if found.kind == "cluster":
        return "the members of a cluster do not ask earlier calculations yet"
    if match.protocol not in (PROTOCOLS["tcp"], None):
        name = protocol_name(match.protocol)
        return f"servers recognise no session of {name}: its flows follow the new file at once"
    return ""
