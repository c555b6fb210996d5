"""The whole outlook, and what --max-moved compares."""

from __future__ import annotations

from fractions import Fraction

from remainder.change.flow_lists import seen
from remainder.change.outlook import outlook, outlook_from
from remainder.fleet import tiers_of
from remainder.flow import parse_flow
from tests.fleets import cluster, fleet
from tests.unit.change.pairs import file, server

FOUR = tuple(map(server, range(11, 15)))


def test_without_sessions_the_choice_that_moves_most_counts() -> None:
    found = outlook(fleet(), fleet(cluster=[cluster(table="maglev")]))

    assert found.sessions is None
    assert max(one.moved for one, _ in found.differences) == found.moved > Fraction(1, 2)


def test_with_sessions_they_count() -> None:
    flows = {parse_flow(f"198.51.100.{n}:1", "203.0.113.10:80"): 1 for n in range(20)}
    found = outlook(file(*FOUR), file(*FOUR, server(15)), seen(flows))

    assert Fraction(16, 20) == found.moved


def test_only_what_runs_is_compared() -> None:
    tiers = [tier for tier in tiers_of(fleet()) if tier.kind == "service"]
    found = outlook_from(tiers, fleet(cluster=[cluster(key="src_ip")]), kinds={"service"})

    assert ["service"] == [one.kind for one, _ in found.differences]
    assert 0 == found.moved
