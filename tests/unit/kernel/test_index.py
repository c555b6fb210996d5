"""The service index finds every service in one comparison."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remainder.errors import HostError
from remainder.kernel.index import IndexKey, build, shift_of

MASK = 0xFFFF_FFFF_FFFF_FFFF

words = st.integers(0, MASK)
keys = st.builds(IndexKey, words, words, st.integers(0, 0xFFFF_FFFF))


def _place(key: IndexKey, seeds: list[int], places: int) -> int:
    """What the kernel computes, spelled out once more."""
    mixed = (
        key.vip_hi * 0x9E3779B97F4A7C15
        + key.vip_lo * 0xD1B54A32D192ED03
        + key.match * 0x8CB92BA72F3D8DD7
    ) & MASK
    seed = seeds[mixed >> shift_of(len(seeds))]
    return ((mixed * seed) & MASK) >> shift_of(places)


@given(st.sets(keys, max_size=60))
def test_every_key_has_a_place_of_its_own(some: set[IndexKey]) -> None:
    """Whatever the keys, no two share a place, and the kernel's arithmetic leads there."""
    ordered = list(some)
    seeds, place_of = build(ordered, buckets=32, places=128)

    assert len(some) == len(set(place_of))
    assert place_of == [_place(key, seeds, 128) for key in ordered]


def test_ten_thousand_services_find_places() -> None:
    """One VIP with many ports and many VIPs with one port, at half the places."""
    some = [IndexKey(0, vip, 6 << 16 | port) for vip in range(100) for port in range(100)]
    seeds, place_of = build(some, buckets=8192, places=32768)

    assert 8192 == len(seeds)
    assert 10_000 == len(set(place_of))


def test_equal_keys_are_refused() -> None:
    """They can never be told apart; the file's own check comes first."""
    with pytest.raises(HostError, match="do not fit"):
        build([IndexKey(0, 1, 1)] * 2, buckets=2, places=4)


@pytest.mark.parametrize(("size", "shift"), [(2, 63), (4, 62), (65536, 48)])
def test_shifts_leave_numbers_below_the_size(size: int, shift: int) -> None:
    """The top bits of a word, as many as the size has."""
    assert shift == shift_of(size)
    assert size - 1 == MASK >> shift_of(size)
