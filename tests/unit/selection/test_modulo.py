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
