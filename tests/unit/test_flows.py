"""Columns of flows: made from values and back, and what is no column."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remainder.errors import ConfigError
from remainder.flow import Flow
from remainder.flows import Flows, by_family
from tests.strategies import flows

RIGHT: dict[str, Any] = {
    "src_ip": np.array([1, 2], dtype=np.uint32),
    "src_port": np.array([3, 4]),
    "dst_ip": np.array([5, 6]),
    "dst_port": [7, 8],
    "protocol": np.array([6, 17], dtype=np.uint8),
}


@given(st.lists(flows(), max_size=30))
def test_flows_by_family_are_the_same_flows(some: list[Flow]) -> None:
    again: list[Flow | None] = [None] * len(some)
    for numbers, columns in by_family(some):
        assert len(numbers) == len(columns)
        for row, number in enumerate(numbers):
            again[number] = columns.flow(row)

    assert some == again


def test_any_integers_will_do_if_they_fit() -> None:
    made = Flows(**RIGHT)

    assert 4 == made.version
    assert Flow("0.0.0.2", 4, "0.0.0.6", 8, 17) == made.flow(1)
    assert Flow("0.0.0.2", 4, "0.0.0.6", 8, 17) == made[1:].flow(0)


@pytest.mark.parametrize(
    ("sentence", "changed"),
    [
        ("src_ip has values outside 0–4294967295", {"src_ip": np.array([1, 2**32])}),
        ("src_port has values outside 0–65535", {"src_port": np.array([-1, 0])}),
        ("protocol has values outside 0–255", {"protocol": np.array([256, 0])}),
        ("dtype float64; expected (n,) and integers", {"dst_port": np.array([1.0, 2.0])}),
        ("expected (n, 16) and uint8 for IPv6", {"src_ip": np.zeros((2, 4), np.uint32)}),
        ("expected the same length", {"dst_port": np.array([1])}),
        ("the same address family", {"src_ip": np.zeros((2, 16), np.uint8)}),
    ],
)
def test_what_is_no_column_is_named(sentence: str, changed: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as refused:
        Flows(**RIGHT | changed)

    assert sentence in str(refused.value)
