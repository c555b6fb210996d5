"""The shape that every table algorithm shares."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

Table = npt.NDArray[np.uint16]
"""Slot → owner number, shape (slots,)."""

Algorithm = Callable[[Sequence[int], Sequence[str], int | None], Table]
"""(weights, names, slots) → table; ``slots`` None means the algorithm's default."""
