"""Keys and slots of many flows are those of each, to the last of 130 bits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remainder.errors import ConfigError
from remainder.flow import Flow
from remainder.flows import Flows
from remainder.selection.key import parse_key
from remainder.selection.many import remainders, words_of
from tests.strategies import KEYS

SECRET = bytes(range(16))
MOST = 2**128 - 1

edges = st.sampled_from([0, 1, 2**32 - 1, 2**32, 2**64 - 1, 2**64, 2**127, MOST])
keys = st.sampled_from(KEYS).map(parse_key)


@st.composite
def some_flows(draw: st.DrawFn) -> list[Flow]:
    version = draw(st.sampled_from([4, 6]))
    top = 2**32 - 1 if version == 4 else MOST
    addresses = (edges | st.integers(0, top)).map(lambda number: number & top)
    words = st.integers(0, 65_535)
    one = st.builds(
        lambda a, p, b, q, n: Flow(_address(version, a), p, _address(version, b), q, n),
        addresses, words, addresses, words, st.integers(0, 255),
    )  # fmt: skip
    return draw(st.lists(one, min_size=1, max_size=20))


def _address(version: int, number: int) -> str:
    from ipaddress import IPv4Address, IPv6Address  # noqa: PLC0415

    return str(IPv4Address(number) if version == 4 else IPv6Address(number))


@given(some_flows(), keys, st.data())
def test_keys_and_remainders_are_exact(flows: list[Flow], key: object, data: st.DataObject) -> None:
    parsed = parse_key(str(key))
    slots = data.draw(
        st.lists(st.integers(1, 2**20), min_size=len(flows), max_size=len(flows))
        | st.integers(1, 2**20).map(lambda number: [number] * len(flows))
    )
    words = words_of(parsed, Flows.of(flows), SECRET)
    numbers = [sum(int(word) << 64 * at for at, word in enumerate(row)) for row in words]

    assert [parsed.number(flow, SECRET) for flow in flows] == numbers
    assert [number % slot for number, slot in zip(numbers, slots, strict=True)] == remainders(
        words, np.array(slots, dtype=np.uint64)
    ).tolist()


def test_the_largest_sum_keeps_its_carries() -> None:
    flow = Flow("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65_535, "::", 65_535, 255)
    largest = Flow(flow.src_ip, 65_535, flow.src_ip, 65_535, 255)
    key = parse_key("src_ip + src_port + dst_ip + dst_port + protocol")
    for one in (flow, largest):
        (row,) = words_of(key, Flows.of([one]), None).tolist()

        assert key.number(one) == row[0] + (row[1] << 64) + (row[2] << 128)


def test_no_flows_have_no_keys() -> None:
    nothing = Flows.of([])

    assert (0, 1) == words_of(parse_key("src_ip"), nothing, None).shape
    assert 0 == len(remainders(np.empty((0, 1), np.uint64), np.empty(0, np.uint64)))


def test_a_hash_without_a_secret_is_refused() -> None:
    with pytest.raises(ConfigError, match="no secret"):
        words_of(parse_key("hash(src_ip)"), Flows.of([]), None)
