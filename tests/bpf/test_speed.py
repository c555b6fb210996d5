"""Fast stays fast: only ratios to, and differences from, reference programs of the same run.

The margins are wide, since the machine is anybody's and busy.  What is measured on a quiet
one stands in docs/performance.md.
"""

from __future__ import annotations

import pytest

from remainder_bench import micro
from remainder_bench.cases import Case, subject
from remainder_bench.report import Row
from remainder_bench.stopwatch import stopwatch

pytestmark = [pytest.mark.bpf, pytest.mark.slow]

ROUNDS = 9

CASES = {
    "one flow": Case(flows="1"),
    "a million flows": Case(flows="1M"),
    "every packet new": Case(flows="new", kind="syn"),
    "hash": Case(flows="1M", key="hash"),
    "ipv6": Case(flows="1M", kind="ipv6"),
    "foreign": Case(kind="foreign"),
    "1,000 services": Case(services=1_000),
    "4,000 servers": Case(servers=4_000),
}


@pytest.fixture(scope="module")
def net() -> dict[str, float]:
    """Name → median of the net time of a packet, ns."""
    subjects = [subject(case) for case in CASES.values()]
    with (
        stopwatch() as watch,
        micro.reference_trials([("parse_only", "4k"), ("remember", "1M"), ("remember", "new")]) as (
            only_return,
            peers,
        ),
        micro.trials_of(subjects) as ours,
    ):
        rows = micro.measure(watch, only_return, [*peers, *ours], rounds=ROUNDS)
    faults = [f"{row.name}: {row.fault}" for row in rows if row.fault]

    assert not faults
    return {name: row.median for name, row in zip(_names(rows), rows, strict=True)}


def _names(rows: list[Row]) -> list[str]:
    return [row.name for row in rows[: -len(CASES)]] + list(CASES)


@pytest.mark.parametrize("case", ["a million flows", "every packet new", "hash", "ipv6"])
def test_to_calculate_is_at_least_twice_as_fast_as_to_remember(
    net: dict[str, float], case: str
) -> None:
    """Measured: 13 to 30 times."""
    remembering = min(net["remember/1M"], net["remember/new"])

    assert net[case] <= remembering / 2


@pytest.mark.parametrize("case", ["a million flows", "every packet new"])
def test_the_number_of_flows_costs_nothing(net: dict[str, float], case: str) -> None:
    """Measured: within half a nanosecond."""
    assert net[case] <= 1.5 * net["one flow"] + 3


@pytest.mark.parametrize("case", ["1,000 services", "4,000 servers"])
def test_services_and_servers_cost_next_to_nothing(net: dict[str, float], case: str) -> None:
    """Measured: a nanosecond; the margin is for machines with small caches."""
    assert net[case] <= 2 * net["one flow"] + 3


def test_a_packet_that_is_not_ours_costs_no_more_than_one_that_is(net: dict[str, float]) -> None:
    """Measured: 8 to 12."""
    assert net["foreign"] <= net["one flow"] + 3


def test_ipv6_costs_about_what_ipv4_does(net: dict[str, float]) -> None:
    """Measured: 13 to 12."""
    assert net["ipv6"] <= 2 * net["a million flows"] + 3


def test_a_keyed_hash_costs_about_twice_a_sum(net: dict[str, float]) -> None:
    """Measured: 21 to 12."""
    assert net["hash"] <= 3 * net["a million flows"] + 5


def test_reading_the_headers_is_the_least_part(net: dict[str, float]) -> None:
    """The yardstick itself is not broken: to parse costs something, and less than to balance."""
    assert -1 < net["parse-only/4k"] < net["one flow"]
