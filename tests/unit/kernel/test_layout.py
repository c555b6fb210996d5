"""The tables of a half: one behind the other, and not more than the program can reach."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remainder.errors import HostError
from remainder.kernel import abi
from remainder.kernel.layout import Capacity, layout_of

SIZES = st.builds(
    Capacity,
    buckets=st.integers(1, 16).map(lambda power: 1 << power),
    services=st.integers(1, 16).map(lambda power: 1 << power),
    slots=st.integers(1, 1 << 20),
    owners=st.integers(1, 1 << 16),
    counters=st.just(1),
)


@given(SIZES)
def test_no_table_reaches_into_the_next_and_each_begins_a_cache_line(capacity: Capacity) -> None:
    layout = layout_of(capacity)

    assert abi.TABLES.itemsize <= layout.seeds_at
    assert layout.seeds_at + 8 * capacity.buckets <= layout.services_at
    assert layout.services_at + abi.SERVICE.itemsize * capacity.services <= layout.slots_at
    assert layout.slots_at + 2 * capacity.slots <= layout.owners_at
    assert layout.owners_at + abi.OWNER.itemsize * capacity.owners <= layout.size
    for at in (layout.seeds_at, layout.services_at, layout.slots_at, layout.owners_at, layout.size):
        assert 0 == at % 64


def test_more_than_the_program_can_reach_is_refused_with_the_numbers() -> None:
    fits = Capacity(buckets=2, services=16, slots=(1 << 28) - 1024, owners=4, counters=4)
    layout_of(fits)
    with pytest.raises(HostError, match=r"need 513 MiB, the maximum is 512; use fewer slots"):
        layout_of(Capacity(buckets=2, services=16, slots=1 << 28, owners=4, counters=4))
