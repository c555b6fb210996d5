"""Who works on which CPU, and how often a level is tried."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from remainder.errors import HostError
from remainder_bench import flood, napi
from remainder_bench.flood import Cpus, cpus_of
from remainder_bench.flood_report import Level
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


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """What real-time work may take of each second on a machine, in microseconds."""
    monkeypatch.setattr(napi, "SETTINGS", tmp_path)
    (tmp_path / "sched_rt_period_us").write_text("1000000\n")
    return tmp_path / "sched_rt_runtime_us"


@pytest.mark.parametrize("most_us", [-1, 1_000_000])
def test_where_nothing_limits_real_time_work_there_is_no_flood(
    monkeypatch: pytest.MonkeyPatch, limit: Path, most_us: int
) -> None:
    """Before anything is built."""
    limit.write_text(f"{most_us}\n")
    monkeypatch.setattr(flood, "_level", lambda *_: pytest.fail("a flood began"))

    with pytest.raises(HostError, match=r"sysctl -w kernel\.sched_rt_runtime_us=950000$"):
        flood.measure(["remainder"])


@pytest.mark.parametrize("most_us", [950_000, 999_999])
def test_any_limit_will_do(limit: Path, most_us: int) -> None:
    limit.write_text(f"{most_us}\n")

    napi.need_limit()


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
