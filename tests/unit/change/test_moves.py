"""Keys are counted exactly: as one by one, over a whole period."""

from __future__ import annotations

from collections import Counter
from math import lcm

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remainder.change import moves as counting
from remainder.change.moves import moves, period_of, staying
from remainder.selection import Table

tables = st.lists(st.integers(0, 5), min_size=1, max_size=24).map(
    lambda owners: np.array(owners, dtype=np.uint16)
)


def counted(before: Table, after: Table, *, same_key: bool) -> Counter[tuple[int, int]]:
    found: Counter[tuple[int, int]] = Counter()
    for source, row in moves(before, after, same_key=same_key):
        for target, keys in enumerate(row.tolist()):
            found[source, target] += keys
    return +found


@pytest.mark.parametrize("cells", [counting._MOST_CELLS, 0], ids=["dense", "sparse"])
@given(before=tables, after=tables)
def test_each_pair_of_owners_gets_the_keys_of_one_period(
    cells: int, before: Table, after: Table
) -> None:
    period = lcm(len(before), len(after))
    one_by_one = Counter(
        (int(before[key % len(before)]), int(after[key % len(after)])) for key in range(period)
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "_MOST_CELLS", cells)

        assert one_by_one == counted(before, after, same_key=True)
        assert period == period_of(before, after, same_key=True)


@given(tables, tables)
def test_unrelated_keys_meet_each_pair_of_slots_once(before: Table, after: Table) -> None:
    pairs = Counter((int(one), int(other)) for one in before for other in after)

    assert pairs == counted(before, after, same_key=False)
    assert pairs.total() == period_of(before, after, same_key=False)


@given(tables, tables)
def test_a_key_stays_if_both_owners_are_one_machine(before: Table, after: Table) -> None:
    alike = np.eye(6, dtype=bool)
    kept = [
        before[key % len(before)] == after[key % len(after)]
        for key in range(lcm(len(before), len(after)))
    ]

    assert kept == staying(before, after, alike).tolist()
