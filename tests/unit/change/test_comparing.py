"""When two keys are one and the same but for a constant, and when they are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remainder.change.comparing import key_offset, machine
from remainder.choice import Owner, choice_of
from remainder.config import Config
from remainder.plan import make_plan
from tests.fleets import SUM3
from tests.unit.change.pairs import HASH, SUM5, flows_of, pairs, server, web


@given(pairs(), st.data())
def test_a_constant_difference_is_that_of_every_flow(
    pair: tuple[Config, Config], data: st.DataObject
) -> None:
    one, other = (make_plan(config) for config in pair)
    offset = key_offset(one.choices[0].choice, other.choices[0].choice, same_secret=True)
    if offset is None:
        return
    for flow in data.draw(flows_of(pair[0])):
        was, now = one.where(flow).key, other.where(flow).key

        assert was is not None
        assert was + offset == now


@pytest.mark.parametrize(
    ("one", "other", "offset"),
    [
        (SUM3, "dst_port + dst_ip + src_ip", 0),
        ("src_ip + dst_port", "src_ip", -80),
        ("src_ip", "src_ip + protocol", 6),
        (SUM3, SUM5, None),
        (SUM3, HASH, None),
        (HASH, "hash(src_port, src_ip)", 0),
        (HASH, "hash(src_ip)", None),
    ],
)
def test_keys_differ_by_what_the_match_fixes(one: str, other: str, offset: int | None) -> None:
    was, now = (choice_of(web(server(11), key=key)) for key in (one, other))

    assert offset == key_offset(was, now, same_secret=True)


def test_a_hash_under_another_secret_is_another_key() -> None:
    choice = choice_of(web(server(11), key=HASH))

    assert key_offset(choice, choice, same_secret=False) is None


def test_a_machine_is_known_by_its_address_and_a_member_by_its_name() -> None:
    one = choice_of(web(server(11))).owners[0]

    assert "192.0.2.11" == machine(one)
    assert "m1" == machine(Owner("m1", 1, None))
