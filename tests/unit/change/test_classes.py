"""Which clients stay: a few classes of remainders (test_difference.py asks each flow)."""

from __future__ import annotations

import pytest

from remainder.change.classes import Classes, classes_of
from remainder.change.difference import differences
from remainder.choice import choice_of
from remainder.config import Config
from remainder.fleet import tiers_of
from remainder.plan import plan_choice
from tests.unit.change.pairs import HASH, SUM5, file, server, web

FOUR = tuple(map(server, range(11, 15)))


def classes(before: Config, after: Config) -> Classes | None:
    (found,) = differences(tiers_of(before), tiers_of(after))
    return found.classes


def test_four_classes_of_twenty_stay_when_four_servers_become_five() -> None:
    """203.0.113.10 + 80 leaves 6 modulo 20, so sources from 14 on have sums from 0 on."""
    found = classes(file(*FOUR), file(*FOUR, server(15)))

    assert Classes(expression="src_ip", modulus=20, stay=[(14, 17)]) == found


def test_the_source_port_is_part_of_the_class() -> None:
    found = classes(file(*FOUR, key=SUM5), file(*FOUR, server(15), key=SUM5))

    assert found is not None
    assert "src_ip + src_port" == found.expression


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (file(*FOUR, key=HASH), file(server(11), key=HASH)),
        (file(*FOUR), file(*FOUR, key=SUM5)),
        (file(*FOUR, key="dst_port"), file(server(11), key="dst_port")),
        (file(*FOUR, table="maglev"), file(*FOUR, table="maglev", slots=251)),
    ],
    ids=["a hash", "another key", "no client field", "too many classes"],
)
def test_there_are_no_classes_for(before: Config, after: Config) -> None:
    assert classes(before, after) is None


def test_a_difference_of_keys_shifts_the_classes() -> None:
    one = plan_choice(choice_of(web(*FOUR, key="src_ip")))
    found = classes_of(one, one.table, one, offset=0)

    assert Classes(expression="src_ip", modulus=4, stay=[(0, 3)]) == found
