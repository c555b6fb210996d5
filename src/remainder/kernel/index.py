"""The service index: a perfect hash, so that the kernel needs one comparison.

Two levels ("hash and displace", Belazzougui, Botelho and Dietzfelbinger, ESA
2009): the first hash names a bucket, the bucket's seed moves its services to
free places of the second.  A hash map costs the data plane 22 ns, this about 4.
Twin: bpf/find.h, ``probe``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from remainder.errors import HostError

_MASK: Final = 0xFFFF_FFFF_FFFF_FFFF
_HI: Final = 0x9E3779B97F4A7C15
_LO: Final = 0xD1B54A32D192ED03
_MATCH: Final = 0x8CB92BA72F3D8DD7
_TRIES: Final = 100_000


@dataclass(frozen=True, slots=True)
class IndexKey:
    """A service as the kernel recognises it: raw VIP halves and ``match_of``."""

    vip_hi: int
    vip_lo: int
    match: int

    @property
    def mixed(self) -> int:
        """The key spread over 64 bits."""
        return (self.vip_hi * _HI + self.vip_lo * _LO + self.match * _MATCH) & _MASK


def build(keys: Sequence[IndexKey], *, buckets: int, places: int) -> tuple[list[int], list[int]]:
    """Find the seeds: (seed of each bucket, place of each key), all places different.

    ``buckets`` and ``places`` are powers of two, at least 2; there must be
    room for the keys.  Raises HostError if no seeds are found, which takes
    more keys than half the places.
    """
    bucket_shift, place_shift = shift_of(buckets), shift_of(places)
    members: list[list[int]] = [[] for _ in range(buckets)]
    mixed_of = [key.mixed for key in keys]
    for number, mixed in enumerate(mixed_of):
        members[mixed >> bucket_shift].append(number)
    seeds, place_of, taken = [1] * buckets, [0] * len(keys), [False] * places
    for bucket in sorted(range(buckets), key=lambda at: len(members[at]), reverse=True):
        values = [mixed_of[number] for number in members[bucket]]
        if not values:
            break
        for seed in _odd_numbers():
            found = [((value * seed) & _MASK) >> place_shift for value in values]
            if len(set(found)) == len(found) and not any(taken[place] for place in found):
                break
        else:
            raise HostError(f"{len(keys)} services do not fit an index of {places} places")
        seeds[bucket] = seed
        for number, place in zip(members[bucket], found, strict=True):
            place_of[number], taken[place] = place, True
    return seeds, place_of


def shift_of(size: int) -> int:
    """64 - log2(size): what leaves a number below ``size`` of a 64-bit word."""
    return 64 - (size.bit_length() - 1)


def size_of(shift: int) -> int:
    """What ``shift_of`` was asked for."""
    return 1 << (64 - shift)


def _odd_numbers() -> Iterator[int]:
    """The same sequence of well-mixed odd multipliers every time (SplitMix64)."""
    state = 0
    for _ in range(_TRIES):
        state = (state + _HI) & _MASK
        word = ((state ^ state >> 30) * 0xBF58476D1CE4E5B9) & _MASK
        word = ((word ^ word >> 27) * 0x94D049BB133111EB) & _MASK
        yield (word ^ word >> 31) | 1
