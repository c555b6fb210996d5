"""What Hypothesis draws is valid, and gets everywhere."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import Phase, find, given, settings

from remainder.config import Config
from remainder.outcome import Outcome
from remainder.reference import process
from remainder.values import decoded
from tests import recipes, strategies
from tests.segment import NODE, PLAN, run
from tests.written import file_of

OTHERS = {Outcome.KEPT, Outcome.LEFT, Outcome.NEIGHBOUR_ANSWERED, Outcome.RETURNED, Outcome.ON_LINK}
SERVERS = {one for one in Outcome if one.value.startswith("kept_")} | {Outcome.PASSED_ON}
"""A server's alone: tests/bpf/test_second_chance.py wants each of them drawn."""

OUTCOMES = [one for one in Outcome if one not in OTHERS | SERVERS | {Outcome.NO_OWNER}]
"""Those that a balancer can come to with a plan."""


@given(strategies.configs())
def test_every_drawn_file_is_one_that_could_be_written(config: Config) -> None:
    assert config == msgspec.convert(file_of(config), Config, strict=True, dec_hook=decoded)


@pytest.mark.parametrize("wanted", OUTCOMES)
def test_the_drawn_frames_come_to_every_outcome_a_plan_allows(wanted: Outcome) -> None:
    def has_it(case: strategies.Case) -> bool:
        return any(wanted == process(case.plan, case.node, one).outcome for one in case.frames)

    quick = settings(max_examples=200, phases=[Phase.generate], database=None, deadline=None)

    assert has_it(find(strategies.cases(), has_it, settings=quick))


@given(strategies.cases())
def test_drawn_frames_are_of_a_size_that_the_kernel_takes(case: strategies.Case) -> None:
    sizes = [len(frame) for frame in case.frames]

    assert [] == [size for size in sizes if not 14 <= size <= recipes.MOST_BYTES]


def test_an_empty_recipe_is_a_plain_packet_to_the_first_service() -> None:
    frame = recipes.frame(b"", recipes.aims_of(PLAN), NODE.mac)

    assert Outcome.FORWARDED == run(frame).outcome
    assert PLAN.choices[0].name == run(frame).choice
