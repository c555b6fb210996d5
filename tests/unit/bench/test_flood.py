"""Who works on which CPU, and how often a level is tried."""

from __future__ import annotations

from dataclasses import replace

import pytest

from remainder.bench import flood
from remainder.bench.flood import Cpus, cpus_of
from remainder.bench.flood_report import Level
from remainder.errors import HostError
from tests.unit.bench.test_flood_report import GOOD


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [
        ({0, 1}, Cpus(balancer=0, clients=1, flood=1)),
        ({2, 5, 7}, Cpus(balancer=2, clients=5, flood=7)),
        (range(8), Cpus(balancer=0, clients=1, flood=7)),
    ],
)
def test_the_balancer_has_a_cpu_of_its_own(allowed: set[int], expected: Cpus) -> None:
    assert expected == cpus_of(allowed)


def test_one_cpu_is_too_few() -> None:
    with pytest.raises(HostError, match="two CPUs"):
        cpus_of({3})


@pytest.mark.parametrize(
    ("waited", "tries"), [([0.0], 1), ([0.5, 0.01], 2), ([0.5, 0.3, 0.4], flood.TRIES)]
)
def test_a_level_that_was_disturbed_is_taken_again(
    monkeypatch: pytest.MonkeyPatch, waited: list[float], tries: int
) -> None:
    """The one that waited least counts."""
    left = iter(waited)
    taken: list[Level] = []

    def level(*_: object) -> Level:
        taken.append(replace(GOOD, waited=next(left)))
        return taken[-1]

    monkeypatch.setattr(flood, "_level", level)
    found = flood._undisturbed("remainder", 1, 1.0, Cpus(0, 1, 1))

    assert tries == len(taken)
    assert min(waited) == found.waited
