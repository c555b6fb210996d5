"""The walk is compiled where it can be, and says the same as its source."""

from __future__ import annotations

import importlib.machinery
import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remainder.selection import walk
from remainder.selection.maglev import is_prime
from scripts.compile_python import lacks_compiling

Walk = Callable[[list[int], list[int], list[int], int], list[int]]

SOURCE = Path(walk.__file__).with_name("walk.py")
PRIMES = [number for number in range(2, 400) if is_prime(number)]


def _interpreted() -> Walk:
    loader = importlib.machinery.SourceFileLoader("interpreted_walk", str(SOURCE))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    walk: Walk = module.walk
    return walk


interpreted = _interpreted()


@st.composite
def walks(draw: st.DrawFn) -> tuple[list[int], list[int], list[int], int]:
    slots = draw(st.sampled_from(PRIMES))
    owners = draw(st.integers(1, 12))
    return (
        draw(st.lists(st.integers(0, owners - 1), max_size=slots)),
        [draw(st.integers(0, slots - 1)) for _ in range(owners)],
        [draw(st.integers(1, max(slots - 1, 1))) for _ in range(owners)],
        slots,
    )


def test_what_runs_is_compiled() -> None:
    reason = lacks_compiling()
    if reason:
        pytest.skip(f"compiled: the walk runs from its source; {reason}")

    assert walk.__file__.endswith(tuple(importlib.machinery.EXTENSION_SUFFIXES))


@given(walks())
def test_compiled_and_interpreted_walk_to_the_same_slots(
    given_walk: tuple[list[int], list[int], list[int], int],
) -> None:
    """Trivial where nothing is compiled, and the test above says so there."""
    assert interpreted(*given_walk) == walk.walk(*given_walk)


@given(walks())
def test_every_turn_takes_a_slot_of_its_own(
    given_walk: tuple[list[int], list[int], list[int], int],
) -> None:
    order, offsets, _, slots = given_walk
    before = offsets.copy()
    taken = walk.walk(*given_walk)

    assert len(order) == len(set(taken))
    assert set(range(slots)) >= set(taken)
    assert before == offsets


def test_an_owner_steps_over_taken_slots_and_round_the_end() -> None:
    assert [1, 3, 4, 0] == walk.walk([0, 0, 1, 1], [1, 3], [2, 1], 5)
