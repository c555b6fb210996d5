"""How many keys go from which owner to which, when one table follows another.

The keys repeat their slots after as many as the least common multiple of both sizes,
the period.  In one period each pair of slots that leave the same remainder modulo the
greatest common divisor meets exactly once, so nothing is sampled.
Rule: pure; whole numbers only.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd, lcm
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from remainder.selection import Table

Counts = npt.NDArray[np.int64]

_MOST_CELLS: Final = 1 << 24


def period_of(before: Table, after: Table, *, same_key: bool) -> int:
    """How many keys there are to count; for independent keys every pair of slots."""
    return lcm(len(before), len(after)) if same_key else len(before) * len(after)


def moves(before: Table, after: Table, *, same_key: bool) -> Iterator[tuple[int, Counts]]:
    """For each owner of ``before``: how many keys of a period go to each owner of ``after``.

    ``same_key``: slot is ``key % len(table)`` in both, for the same key.  Otherwise the two
    keys have nothing to do with each other, and each pair of slots counts once.
    """
    size = int(after.max()) + 1
    if same_key and len(before) == len(after) and (int(before.max()) + 1) * size <= _MOST_CELLS:
        pairs = before.astype(np.int64) * size + after
        table = np.bincount(pairs, minlength=(int(before.max()) + 1) * size).reshape(-1, size)
        yield from ((owner, table[owner]) for owner in np.unique(before).tolist())
        return
    divisor = gcd(len(before), len(after)) if same_key else 1
    by_rest = after.reshape(-1, divisor)
    dense = _by_rest(by_rest, size) if divisor * size <= _MOST_CELLS else None
    order = np.argsort(before, kind="stable")
    owners, starts = np.unique(before[order], return_index=True)
    for owner, slots in zip(owners.tolist(), np.split(order, starts[1:]), strict=True):
        rests, times = np.unique(slots % divisor, return_counts=True)
        if dense is not None:
            counted = times @ dense[rests]
        else:
            found = by_rest[:, rests]
            weights = np.broadcast_to(times.astype(np.float64), found.shape)
            counted = np.bincount(found.ravel(), weights.ravel(), size).astype(np.int64)
        yield owner, counted


def _by_rest(by_rest: npt.NDArray[Any], size: int) -> Counts:
    """(rest, owner) → how many slots with that remainder the owner has."""
    divisor = by_rest.shape[1]
    cells = by_rest.astype(np.int64) + np.arange(divisor) * size
    return np.bincount(cells.ravel(), minlength=divisor * size).reshape(divisor, size)


def staying(before: Table, after: Table, alike: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """For each key of a period, whether its owner stays; ``alike[old, new]``: the same machine."""
    period = lcm(len(before), len(after))
    one = np.tile(before, period // len(before))
    other = np.tile(after, period // len(after))
    kept: npt.NDArray[np.bool_] = alike[one, other]
    return kept
