"""Who owns a slot, the way of the claims: owner number ``key % N``.

Claims: 13, 17 (and 26, 27, 29, 33).
Twin: none; the kernel only reads the table.
Rule: this file knows weights, never which role asks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from remainder.selection.rendezvous import preferred
from remainder.selection.types import Table


def table(
    weights: Sequence[int],
    names: Sequence[str],
    slots: int | None = None,
    homes: Sequence[int | None] | None = None,
) -> Table:
    """Owner *i* stands ``weights[i]`` times in a row; with equal weights slot *i* is owner *i*.

    Returns an array of owner numbers, shape (slots,), dtype uint16.
    Without ``homes`` neither ``names`` nor ``slots`` are used: order and weights decide.
    Equal weights are reduced to 1, so that N is the number of servers.

    With ``homes`` there are ``slots`` slots, and owner *i* has ``weights[i]`` of its own,
    from ``homes[i]`` on.  Slots of nobody's own are lent by rendezvous, so when an owner
    leaves, its slots alone go to others, and when it returns, it gets the same ones back.
    """
    if homes is None or slots is None:
        divisor = max(int(np.gcd.reduce(np.asarray(weights, dtype=np.int64))), 1)
        return np.repeat(
            np.arange(len(weights), dtype=np.uint16), [weight // divisor for weight in weights]
        )
    owners = np.zeros(slots, dtype=np.uint16)
    lent = np.ones(slots, dtype=bool)
    for owner, (home, weight) in enumerate(zip(homes, weights, strict=True)):
        if home is not None:
            own = slice(home, home + weight)
            owners[own], lent[own] = owner, False
    orphans = np.flatnonzero(lent)
    owners[orphans] = preferred(orphans, weights, names)
    return owners
