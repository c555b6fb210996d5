"""Who owns a slot, the Maglev way: a change moves little more than its share.

Source: Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load
Balancer", NSDI 2016, section 3.4; weights as there hinted: an owner takes
``weight`` turns per round.
Twin: none; the kernel only reads the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

import numpy as np
import numpy.typing as npt

from remainder.selection.types import Table
from remainder.selection.walk import walk

DEFAULT_SLOTS: Final = 65_537


def is_prime(number: int) -> bool:
    """Trial division; numbers here stay below 2**20."""
    if number < 2:
        return False
    return all(number % divisor for divisor in range(2, int(number**0.5) + 1))


def permutation(name: str, slots: int) -> tuple[int, int]:
    """(offset, skip): the owner likes slot ``(offset + j * skip) % slots`` j-th best.

    Both come from one BLAKE2b of the name, so they are the same on every node.
    """
    digest = blake2b(name.encode(), digest_size=16, person=b"remainder-maglev").digest()
    offset = int.from_bytes(digest[:8], "little") % slots
    skip = int.from_bytes(digest[8:], "little") % max(slots - 1, 1) + 1
    return offset, skip


def turns(weights: Sequence[int], slots: int) -> npt.NDArray[np.intp]:
    """Who takes the next free slot, turn by turn: shape (slots,), owner numbers.

    An owner's turn *k* comes at time ``k / weight``, ties by order, so equal
    weights give plain rounds and a weight of 3 takes three turns in each.
    """
    takers = np.flatnonzero(weights)
    weight = np.asarray(weights, dtype=np.int64)[takers]
    if (weight == weight[0]).all():
        return np.resize(takers, slots)
    # By the time (slots + owners) / total all together have had more than `slots` turns.
    count = (slots + len(weights)) * weight // weight.sum()
    turn = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + 1
    by_time = np.argsort(turn / np.repeat(weight, count), kind="stable")
    return np.repeat(takers, count)[by_time][:slots]


def table(
    weights: Sequence[int],
    names: Sequence[str],
    slots: int | None = None,
    homes: Sequence[int | None] | None = None,
) -> Table:
    """Fill a table of ``slots`` (a prime) in turns: each owner takes its best free slot.

    Returns an array of owner numbers, shape (slots,), dtype uint16.  ``homes`` is not
    used.  The order of the owners does not matter, only their names and weights do.
    """
    del homes
    slots = slots or DEFAULT_SLOTS
    by_name = sorted(range(len(names)), key=lambda owner: names[owner])
    order = turns([weights[owner] for owner in by_name], slots)
    places = [permutation(names[owner], slots) for owner in by_name]
    offsets, skips = [offset for offset, _ in places], [skip for _, skip in places]
    taken = np.fromiter(walk(order.tolist(), offsets, skips, slots), np.intp, slots)
    owners = np.empty(slots, dtype=np.uint16)
    owners[taken] = np.asarray(by_name, dtype=np.uint16)[order]
    return owners
