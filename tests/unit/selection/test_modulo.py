"""The table of the claims: slot i belongs to server i."""

from __future__ import annotations

from fractions import Fraction
from math import gcd

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remainder.selection import modulo

weight_lists = st.lists(st.integers(0, 255), min_size=1, max_size=40).filter(any)


def table(weights: list[int]) -> list[int]:
    names = [f"s{number}" for number in range(len(weights))]
    return [int(owner) for owner in modulo.table(weights, names)]


@given(st.integers(1, 300), st.integers(1, 255))
def test_with_equal_weights_slot_i_is_server_i(servers: int, weight: int) -> None:
    assert list(range(servers)) == table([weight] * servers)


@given(weight_lists)
def test_a_server_of_weight_w_stands_w_times_in_a_row(weights: list[int]) -> None:
    divisor = gcd(*weights)

    assert [
        server for server, weight in enumerate(weights) for _ in range(weight // divisor)
    ] == table(weights)


@given(weight_lists)
def test_shares_are_exactly_the_weights(weights: list[int]) -> None:
    owners = table(weights)

    assert [Fraction(weight, sum(weights)) for weight in weights] == [
        Fraction(owners.count(server), len(owners)) for server in range(len(weights))
    ]


def test_a_server_of_weight_0_has_no_slot() -> None:
    assert [0, 0, 0, 1, 3, 3] == table([3, 1, 0, 2])


def test_names_and_slots_change_nothing() -> None:
    assert [0, 1, 1] == modulo.table([1, 2], ["z", "a"], 7).tolist()


def test_owners_are_16_bit_numbers() -> None:
    assert modulo.table([1, 2], ["a", "b"]).dtype == "uint16"


@pytest.mark.parametrize("servers", [1, 4, 10, 50])
def test_one_more_server_moves_n_of_n_plus_1_flows(servers: int) -> None:
    keys = range(servers * (servers + 1))
    moved = sum(key % servers != key % (servers + 1) for key in keys)

    assert Fraction(servers, servers + 1) == Fraction(moved, len(keys))


# -- with slots ------------------------------------------------------------------------


@st.composite
def fixed(draw: st.DrawFn) -> tuple[list[int], list[int], int]:
    """(weights, homes, slots): each owner's own slots in a row, with gaps that are nobody's."""
    weights = draw(st.lists(st.integers(0, 9), min_size=2, max_size=40).filter(any))
    gaps = draw(st.lists(st.integers(0, 3), min_size=len(weights), max_size=len(weights)))
    homes, at = [], 0
    for weight, gap in zip(weights, gaps, strict=True):
        homes.append(at + gap)
        at += gap + max(weight, 1)
    return weights, homes, at + draw(st.integers(0, 3))


def names_of(weights: list[int]) -> list[str]:
    return [f"s{number}" for number in range(len(weights))]


def owners_of(weights: list[int], homes: list[int], slots: int, names: list[str]) -> list[str]:
    return [names[owner] for owner in modulo.table(weights, names, slots, homes)]


@given(fixed())
def test_an_owner_has_its_own_slots_whoever_else_is_there(
    case: tuple[list[int], list[int], int],
) -> None:
    weights, homes, slots = case
    owned = owners_of(weights, homes, slots, names_of(weights))

    assert slots == len(owned)
    for name, weight, home in zip(names_of(weights), weights, homes, strict=True):
        assert [name] * weight == owned[home : home + weight]
        assert weight > 0 or name not in owned


@given(fixed(), st.data())
def test_a_server_that_leaves_moves_its_own_slots_alone_and_gets_them_back(
    case: tuple[list[int], list[int], int], data: st.DataObject
) -> None:
    weights, homes, slots = case
    names = names_of(weights)
    gone = data.draw(st.sampled_from(range(len(weights))))
    rest = [at for at in range(len(weights)) if at != gone]
    if not any(weights[at] for at in rest):
        return
    before = owners_of(weights, homes, slots, names)
    less = owners_of(
        [weights[at] for at in rest], [homes[at] for at in rest], slots, [names[at] for at in rest]
    )
    silent = owners_of(
        [0 if at == gone else weight for at, weight in enumerate(weights)], homes, slots, names
    )

    assert less == silent
    assert [(old, old) for old in before if old != names[gone]] == [
        (old, new) for old, new in zip(before, less, strict=True) if old != names[gone]
    ]
    assert before == owners_of(weights, homes, slots, names)


def test_own_slots_in_order_are_the_table_of_the_claims() -> None:
    assert [0, 1, 2, 3] == modulo.table([1] * 4, names_of([1] * 4), 4, [0, 1, 2, 3]).tolist()
