"""Who owns a slot, the way of the claims: owner number ``key % N``.

Claims: 13, 17 (and 26, 27, 29, 33).
Twin: none; the kernel only reads the table.
Rule: this file knows weights, never which role asks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from remainder.selection.types import Table


def table(weights: Sequence[int], names: Sequence[str], slots: int | None = None) -> Table:
    """Owner *i* stands ``weights[i]`` times in a row; with equal weights slot *i* is owner *i*.

    Returns an array of owner numbers, shape (slots,), dtype uint16.
    ``names`` and ``slots`` are not used: order and weights decide.
    Equal weights are reduced to 1, so that N is the number of servers.
    """
    del names, slots
    divisor = max(int(np.gcd.reduce(np.asarray(weights, dtype=np.int64))), 1)
    return np.repeat(
        np.arange(len(weights), dtype=np.uint16), [weight // divisor for weight in weights]
    )
