"""Do two tiers in a row choose alike?  Then each machine of the first uses only part of the second.

A machine of the first tier sees packets whose keys belong to its slots.  If the
second tier makes its key of the same numbers, and both counts of slots have a
common divisor, that machine reaches only the owners whose slots have the same
remainder: "polarisation".  Hashed keys are salted (selection/salt.py), so it
concerns them only where both tiers share a salt.
Claims: 42, 43 (several tiers, each doing the calculation).
Rule: pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import gcd
from typing import Final, Literal, Protocol

import numpy as np
import numpy.typing as npt

from remainder.choice import Match
from remainder.config import Config
from remainder.plan import Plan, PlannedChoice
from remainder.selection.key import FIELDS

_OWNERS: Final = {"cluster": "members", "service": "servers", "return_path": "routers"}


class Calculation(Protocol):
    """One calculation that a packet of the fleet meets, see fleet.py."""

    @property
    def kind(self) -> Literal["cluster", "service", "return_path"]:
        """Whose it is."""

    @property
    def name(self) -> str:
        """Of its section."""

    @property
    def plan(self) -> Plan:
        """What it calculates."""


@dataclass(frozen=True, kw_only=True)
class Polarisation:
    """Two tiers that are not independent, and the worst that comes of it."""

    first: str
    """``cluster 'routers'``"""
    second: str
    owner: str
    """of the first tier: who reaches least"""
    reached: int
    of: int
    owners: str
    """what those of the second tier are called"""
    divisor: int
    slots: tuple[int, int]

    @property
    def sentence(self) -> str:
        """For people."""
        return (
            f"{self.first} and {self.second} choose by the same key, and their slots "
            f"({self.slots[0]:,} and {self.slots[1]:,}) have the common divisor {self.divisor}, so "
            f"packets through {self.owner!r} reach only {self.reached} of {self.of} "
            f"{self.owners}; use another key, a hash, or numbers of slots without a common "
            f"divisor in one of them"
        )


def polarisations(config: Config, tiers: Sequence[Calculation]) -> list[Polarisation]:
    """Every pair of tiers that a packet passes in a row and that are not independent.

    A return path that goes back through the members of a cluster has to choose as the
    cluster does, so it is only compared with tiers that the cluster is not compared with.
    """
    members = {member.name for cluster in config.cluster for member in cluster.members}
    mirrored = {
        path.name
        for path in config.return_path
        if members & {router.name for router in path.routers}
    }
    clusters = [tier for tier in tiers if tier.kind == "cluster"]
    services = [tier for tier in tiers if tier.kind == "service"]
    paths = [tier for tier in tiers if tier.kind == "return_path" and tier.name not in mirrored]
    pairs = [
        *combinations(clusters, 2),
        *((one, other) for one in [*clusters, *paths] for other in services),
    ]
    found: dict[tuple[str, str], Polarisation] = {}
    for one, other in pairs:
        for polarisation in _between(one, other):
            found.setdefault((polarisation.first, polarisation.second), polarisation)
    return list(found.values())


def _between(one: Calculation, other: Calculation) -> Iterator[Polarisation]:
    for first in one.plan.choices:
        for second in other.plan.choices:
            match = _common(first.choice.match, second.choice.match)
            if match is None:
                continue
            same = one.plan.secret == other.plan.secret
            worst = _worst(first, second, match, same_secret=same)
            if worst is not None:
                owner, reached, of, divisor = worst
                yield Polarisation(
                    first=_named(one, first),
                    second=_named(other, second),
                    owner=owner,
                    reached=reached,
                    of=of,
                    owners=_OWNERS[other.kind],
                    divisor=divisor,
                    slots=(first.slots, second.slots),
                )


def _named(tier: Calculation, planned: PlannedChoice) -> str:
    """As the file names it; the choices of a section that is for any address have one name."""
    name = planned.name if tier.kind == "service" else tier.name
    return f"{tier.kind} {name!r}"


def _common(one: Match, other: Match) -> Match | None:
    """Packets that both are for; None if there are none."""
    if one.address.version != other.address.version:
        return None
    if not one.any_address and not other.any_address and one.address != other.address:
        return None
    for mine, theirs in ((one.port, other.port), (one.protocol, other.protocol)):
        if mine is not None and theirs is not None and mine != theirs:
            return None
    return Match(
        other.address if one.any_address else one.address,
        one.port if other.port is None else other.port,
        one.protocol if other.protocol is None else other.protocol,
    )


def _worst(
    first: PlannedChoice, second: PlannedChoice, match: Match, *, same_secret: bool
) -> tuple[str, int, int, int] | None:
    """(owner of the first, owners it reaches, of how many, divisor); None if it reaches all."""
    divisor = gcd(first.slots, second.slots)
    shift = _shift(first, second, match, same_secret=same_secret)
    if divisor == 1 or shift is None:
        return None
    classes = _owners_by_class(second, divisor)
    of = len(np.unique(second.table))
    worst = None
    for owner in np.unique(first.table).tolist():
        slots = np.flatnonzero(first.table == owner)
        seen = np.unique((slots + shift) % divisor)
        reached = int(classes[seen].any(axis=0).sum())
        if reached < of and (worst is None or reached < worst[1]):
            worst = (first.owners[owner].name, reached, of, divisor)
    return worst


def _owners_by_class(planned: PlannedChoice, divisor: int) -> npt.NDArray[np.bool_]:
    """Shape (divisor, owners): has an owner a slot of that remainder?"""
    found = np.zeros((divisor, len(planned.owners)), dtype=np.bool_)
    found[np.arange(planned.slots) % divisor, planned.table] = True
    return found


def _shift(
    first: PlannedChoice, second: PlannedChoice, match: Match, *, same_secret: bool
) -> int | None:
    """What the second key of a packet exceeds the first by; None if that is not one number."""
    one, other = set(first.key.fields), set(second.key.fields)
    if first.key.hashed or second.key.hashed:
        alike = first.key.hashed and second.key.hashed and one == other and same_secret
        return 0 if alike else None
    fixed = _fixed(match)
    if one - fixed.keys() != other - fixed.keys():
        return None
    if not one - fixed.keys():
        return None  # the same for all packets: lint/skew.py says so
    return sum(value * ((name in other) - (name in one)) for name, value in fixed.items())


def _fixed(match: Match) -> dict[str, int]:
    """The fields that are the same in all packets of a match."""
    known = {
        "dst_ip": None if match.any_address else int(match.address),
        "dst_port": match.port,
        "protocol": match.protocol,
    }
    return {name: value for name in FIELDS if (value := known.get(name)) is not None}
