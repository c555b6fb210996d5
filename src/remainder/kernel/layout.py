"""How much room the tables have, and where in a half each of them stands.

Pure.
Twin: bpf/abi.h, ``struct tables`` and ``struct settings``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from remainder.errors import HostError
from remainder.kernel import abi

SEED: Final = np.dtype("<u8")
SLOT: Final = np.dtype("<u2")

_CACHE_LINE: Final = 64
_MOST_BYTES: Final = 1 << 29
"""Of a half: the verifier lets nothing add more to a pointer."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """How much room the maps of a loaded program have, in one half."""

    buckets: int
    services: int
    slots: int
    owners: int
    counters: int

    def holds(self, other: Capacity) -> bool:
        """Whether everything of ``other`` finds room here."""
        return (
            self.services >= other.services
            and self.slots >= other.slots
            and self.owners >= other.owners
            and self.counters >= other.counters
        )


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the tables stand in a half, in bytes from its beginning."""

    seeds_at: int
    services_at: int
    slots_at: int
    owners_at: int
    size: int


def layout_of(capacity: Capacity) -> Layout:
    """One table behind the other, each on a cache line of its own.

    Raises HostError if the program could not reach all of it.
    """
    seeds_at = abi.TABLES.itemsize
    services_at = _next_line(seeds_at + capacity.buckets * SEED.itemsize)
    slots_at = _next_line(services_at + capacity.services * abi.SERVICE.itemsize)
    owners_at = _next_line(slots_at + capacity.slots * SLOT.itemsize)
    size = _next_line(owners_at + capacity.owners * abi.OWNER.itemsize)
    if size > _MOST_BYTES:
        raise HostError(
            f"the tables of this file need {-(-size >> 20)} MiB, the maximum is "
            f"{_MOST_BYTES >> 20}; use fewer slots"
        )
    return Layout(seeds_at, services_at, slots_at, owners_at, size)


def _next_line(at: int) -> int:
    return -(-at // _CACHE_LINE) * _CACHE_LINE
