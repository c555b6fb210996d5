"""Who owns a slot by rendezvous: the owner with the best score, so a change moves the least.

Source: Thaler and Ravishankar, "Using name-based mappings to increase hit
rates", 1998; weights as in Schindelhauer and Schomaker, "Weighted distributed
hash tables", 2005: of all owners the one with the smallest -log(score) / weight.
The order of the owners on a slot depends on nothing but slot, names and weights.
So a slot moves only from an owner that lost weight, or to one that gained some.
Twin: none; the kernel only reads the table.
Law: every node fills the same table, so all arithmetic is in integers: a floating-point
logarithm differs between processors in its last digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import blake2b
from typing import Final

import numpy as np
import numpy.typing as npt

from remainder.selection.maglev import DEFAULT_SLOTS
from remainder.selection.types import Table

_Words = npt.NDArray[np.uint32]
_Numbers = npt.NDArray[np.intp]
_Distances = npt.NDArray[np.int64]

_BLOCK: Final = 16_384
"""Slots that are scored together: few enough to stay in the processor's cache."""

_LOG_BITS: Final = 12
_FRACTION_BITS: Final = 32


def table(
    weights: Sequence[int],
    names: Sequence[str],
    slots: int | None = None,
    homes: Sequence[int | None] | None = None,
) -> Table:
    """Each slot goes to the owner with the best score there.

    Returns an array of owner numbers, shape (slots,), dtype uint16.  ``homes`` is not
    used.  The order of the owners does not matter, only their names and weights do.
    """
    del homes
    return preferred(np.arange(slots or DEFAULT_SLOTS), weights, names)


def preferred(slots: _Numbers, weights: Sequence[int], names: Sequence[str]) -> Table:
    """The owner with the best score on each of some slots, by number; at least one has a weight."""
    groups: dict[int, list[int]] = {}
    for owner in sorted(range(len(names)), key=lambda owner: names[owner]):
        if weights[owner]:
            groups.setdefault(weights[owner], []).append(owner)
    seeds = [_seeds(name) for name in names]
    owners = np.empty(len(slots), dtype=np.uint16)
    mixed = _mixed(slots)
    for start in range(0, len(slots), _BLOCK):
        block = slice(start, start + _BLOCK)
        owners[block] = _best(mixed[block], groups, seeds)
    return owners


def _best(
    mixed: _Words, groups: dict[int, list[int]], seeds: Sequence[tuple[np.uint32, np.uint32]]
) -> Table:
    """Compare within a weight by score, and between weights by distance / weight, exactly.

    Equal distances: the heavier owner, then the earlier name.
    """
    best = np.empty(0, dtype=np.uint16)
    best_distance = np.empty(0, dtype=np.int64)
    best_weight = np.empty(0, dtype=np.int64)
    for weight, owners in sorted(groups.items(), reverse=True):
        scores, chosen = _best_of_equals(mixed, owners, seeds)
        if len(groups) == 1:
            return chosen
        distance = _distance(scores)
        if not len(best):
            best, best_distance = chosen, distance
            best_weight = np.full(len(chosen), weight, dtype=np.int64)
            continue
        nearer = np.flatnonzero(distance * best_weight < best_distance * weight)
        best[nearer], best_distance[nearer] = chosen[nearer], distance[nearer]
        best_weight[nearer] = weight
    return best


def _best_of_equals(
    mixed: _Words, owners: Sequence[int], seeds: Sequence[tuple[np.uint32, np.uint32]]
) -> tuple[_Words, Table]:
    """The highest score of each slot and its owner; equal scores: the first one."""
    best, scores, shifted = _scored(mixed, *seeds[owners[0]]), mixed.copy(), mixed.copy()
    chosen = np.full(len(mixed), owners[0], dtype=np.uint16)
    for owner in owners[1:]:
        _score(mixed, *seeds[owner], scores, shifted)
        better = np.flatnonzero(scores > best)
        best[better] = scores[better]
        chosen[better] = owner
    return best, chosen


def _seeds(name: str) -> tuple[np.uint32, np.uint32]:
    """Two words of a name, the same on every node; the second one is odd."""
    digest = blake2b(name.encode(), digest_size=8, person=b"remainder-rendez").digest()
    first, second = np.frombuffer(digest, dtype="<u4")
    return np.uint32(first), np.uint32(second | 1)


def _mixed(slots: _Numbers) -> _Words:
    """Neighbouring slots as unlike numbers: Wellons' lowbias32, a bijection of 32-bit words."""
    word = slots.astype(np.uint32)
    word ^= word >> np.uint32(16)
    word *= np.uint32(0x7FEB352D)
    word ^= word >> np.uint32(15)
    word *= np.uint32(0x846CA68B)
    word ^= word >> np.uint32(16)
    return word


def _scored(mixed: _Words, first: np.uint32, second: np.uint32) -> _Words:
    scores = np.empty_like(mixed)
    _score(mixed, first, second, scores, np.empty_like(mixed))
    return scores


def _score(
    mixed: _Words, first: np.uint32, second: np.uint32, scores: _Words, shifted: _Words
) -> None:
    """Fill ``scores`` with those of one owner; ``shifted`` is room to work in."""
    np.bitwise_xor(mixed, first, out=scores)
    np.multiply(scores, second, out=scores)
    np.right_shift(scores, np.uint32(15), out=shifted)
    np.bitwise_xor(scores, shifted, out=scores)
    np.multiply(scores, np.uint32(0x846CA68B), out=scores)
    np.right_shift(scores, np.uint32(16), out=shifted)
    np.bitwise_xor(scores, shifted, out=scores)


def _distance(scores: _Words) -> _Distances:
    """``-log2((score + 1/2) / 2^32)`` in units of 2^-32, never rising with the score."""
    odd = scores.astype(np.int64) * 2 + 1
    exponent = np.frexp(odd.astype(np.float64))[1].astype(np.int64) - 1  # exact: odd has 33 bits
    normal = odd << (_FRACTION_BITS - exponent)
    low_bits = _FRACTION_BITS - _LOG_BITS
    index = (normal >> low_bits) - (1 << _LOG_BITS)
    low = normal & ((1 << low_bits) - 1)
    logs = _logs()
    fraction = logs[index] + ((logs[index + 1] - logs[index]) * low >> low_bits)
    distance: _Distances = ((33 - exponent) << _FRACTION_BITS) - fraction
    return distance


@cache
def _logs() -> _Distances:
    """``log2(1 + i / 4096)`` for i from 0 to 4096, in units of 2^-32, digit by digit."""
    number = (np.arange((1 << _LOG_BITS) + 1, dtype=np.uint64) + (1 << _LOG_BITS)) << np.uint64(
        31 - _LOG_BITS
    )
    number[-1] = 1 << 31  # log2(2) = 1 is put in by hand, below
    logs = np.zeros(len(number), dtype=np.int64)
    for _ in range(_FRACTION_BITS):
        number = number * number >> np.uint64(31)
        digit = number >> np.uint64(32)
        number >>= digit
        logs = logs * 2 + digit.astype(np.int64)
    logs[-1] = 1 << _FRACTION_BITS
    return logs
