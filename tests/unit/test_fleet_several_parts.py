"""A node may be in several clusters, and send by several return paths: all of them count."""

from __future__ import annotations

import pytest

from remainder.fleet import member_plan, parts_of, return_plan, tiers_of
from remainder.flow import Address
from remainder.plan import Plan
from tests.several import CONFIG, MEMBER_OF, NODE, ROUTER_OF, flow_to

NUMBERS = range(24)


def plan_of(role: str) -> Plan:
    (plan,) = (part.plan for part in parts_of(CONFIG, NODE) if part.role == role)
    return plan


def test_several_clusters_and_return_paths_are_one_part_each() -> None:
    """One program each: a node is on one interface with all its clusters."""
    assert ["member", "sender"] == [part.role for part in parts_of(CONFIG, NODE)]
    assert ["shared", "through/ipv4", "through/ipv6"] == [
        planned.name for planned in plan_of("member").choices
    ]
    assert ["web-back/web", "dns-back/dns"] == [
        planned.name for planned in plan_of("sender").choices
    ]


@pytest.mark.parametrize("destination", MEMBER_OF, ids=str)
def test_a_member_of_several_clusters_answers_by_each(destination: Address) -> None:
    plans = [plan_of("member"), member_plan(CONFIG, CONFIG.cluster)]
    owners = set()
    for flow in (flow_to(destination, number) for number in NUMBERS):
        named = MEMBER_OF[destination](flow)
        owners.add(named)

        assert [named] * 2 == [plan.where(flow).owner for plan in plans]
    assert len(owners) > 1


@pytest.mark.parametrize("vip", ROUTER_OF, ids=str)
def test_a_sender_of_several_return_paths_answers_by_each(vip: Address) -> None:
    plans = [plan_of("sender"), return_plan(CONFIG, CONFIG.return_path)]
    owners = set()
    for flow in (flow_to(vip, number) for number in NUMBERS):
        named = ROUTER_OF[vip](flow)
        owners.add(named)

        assert [named] * 2 == [plan.where(flow).owner for plan in plans]
    assert len(owners) > 1


def test_each_cluster_and_return_path_is_a_tier_of_its_own() -> None:
    assert ["shared", "through", "services", "web-back", "dns-back"] == [
        tier.name for tier in tiers_of(CONFIG)
    ]
