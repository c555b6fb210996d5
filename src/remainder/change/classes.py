"""Which clients stay with their owner, when the key is a sum: remainders, and nothing else.

Whether a flow moves depends on its key modulo the period of both tables, so the clients
that stay are a few classes of remainders.
Rule: pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import lcm
from typing import Final

import numpy as np

from remainder.change.comparing import constant_of, constants, machine
from remainder.change.moves import staying
from remainder.plan import PlannedChoice
from remainder.selection import Table

MOST_PERIOD: Final = 1 << 21
"""Longest period whose classes are looked at."""

MOST_OWNERS: Final = 1 << 12


@dataclass(frozen=True, kw_only=True)
class Classes:
    """The flows with ``expression % modulus`` in one of the ranges stay; all others move."""

    expression: str
    """the fields of the key that differ between flows, as ``src_ip + src_port``"""
    modulus: int
    stay: Sequence[tuple[int, int]]
    """first and last remainder of each range"""


def classes_of(
    one: PlannedChoice, later: Table, other: PlannedChoice, *, offset: int | None
) -> Classes | None:
    """The classes of two plans of one choice; None for a hash, another key, or too many.

    ``later`` is the table of ``other`` by the key of ``one``.
    """
    modulus = lcm(one.slots, other.slots)
    fields = [name for name in one.key.fields if name not in constants(one.choice.match)]
    too_many = modulus > MOST_PERIOD or max(len(one.owners), len(other.owners)) > MOST_OWNERS
    if offset is None or one.key.hashed or too_many or not fields:
        return None
    sources = np.array([machine(owner) for owner in one.owners])
    targets = np.array([machine(owner) for owner in other.owners])
    kept = staying(one.table, later, sources[:, np.newaxis] == targets)
    # by key → by what differs between flows
    kept = np.roll(kept, -(constant_of(one.key, one.choice.match) % modulus))
    edges = np.flatnonzero(np.diff(np.concatenate(([False], kept, [False])).astype(np.int8)))
    return Classes(
        expression=" + ".join(fields),
        modulus=modulus,
        stay=[
            (start, stop - 1)
            for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
        ],
    )
