"""The shape that every table algorithm shares."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

Table = npt.NDArray[np.uint16]
"""Slot → owner number, shape (slots,)."""

Algorithm = Callable[[Sequence[int], Sequence[str], int | None, Sequence[int | None] | None], Table]
"""(weights, names, slots, homes) → table.

``slots`` None means the algorithm's default; ``homes``, for modulo with slots, has the first
of each owner's own.
"""
