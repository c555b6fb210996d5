"""A node finds its part by its name, and every part is the same calculation."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from remainder.config import Balancer, Config, EarlierServers
from remainder.errors import ConfigError
from remainder.fleet import (
    member_plan,
    nodes_of,
    parts_of,
    return_plan,
    server_plan,
    tiers_of,
)
from remainder.flow import Flow
from remainder.plan import make_plan
from tests.fleets import SUM3, SUM5, changing, cluster, fleet, return_path, servers, service
from tests.strategies import flows


@pytest.mark.parametrize(
    ("node", "roles"),
    [("lb1", ["balancer"]), ("r2", ["member"]), ("s1", ["sender"])],
)
def test_a_node_has_the_roles_that_the_file_gives_it(node: str, roles: list[str]) -> None:
    assert roles == [part.role for part in parts_of(fleet(), node)]


def test_a_node_may_have_several_roles() -> None:
    config = fleet(balancer=[Balancer(name="r1", interface="eth1")], vrrp=None)

    assert ["balancer", "member"] == [part.role for part in parts_of(config, "r1")]


def test_a_name_that_the_file_does_not_have_is_refused_with_those_it_has() -> None:
    assert ["lb1", "lb2", "r1", "r2", "r3", "s1", "s2"] == nodes_of(fleet())
    with pytest.raises(ConfigError, match="lb1, lb2, r1, r2, r3, s1, s2"):
        parts_of(fleet(), "nobody")


def test_a_file_that_names_no_node_is_balanced_by_whoever_runs_it() -> None:
    (part,) = parts_of(Config(service=[service()]), "whoever")

    assert ("balancer", None) == (part.role, part.interface)


def test_a_server_that_names_its_interface_is_a_node_while_a_calculation_is_earlier() -> None:
    config = Config(service=[changing()], balancer=[Balancer(name="lb1", interface="eth0")])
    (part,) = parts_of(config, "s2")

    assert ["lb1", "s1", "s2", "s3", "s4"] == nodes_of(config)
    assert ("server", "eth0", "auto", "s2") == (
        part.role,
        part.interface,
        part.mode,
        part.plan.node,
    )
    assert [planned.name for planned in part.plan.choices] == ["web"]
    assert [] == parts_of(Config(service=[changing(before=[])]), "s2")


def test_a_server_that_only_an_earlier_calculation_names_is_a_node_too() -> None:
    """It must pass on what is older than itself."""
    before = [EarlierServers(key=SUM3, table="modulo", servers=servers("s9"))]
    (part,) = parts_of(Config(service=[changing(before=before)]), "s9")

    assert ("server", "s9") == (part.role, part.plan.node)


def test_a_server_without_an_interface_has_no_part_in_a_service() -> None:
    plain = changing(
        name="plain",
        port=81,
        servers=servers("s1", "s2", interface=None),
        before=[EarlierServers(key=SUM3, table="modulo", servers=servers("s1", interface=None))],
    )
    config = Config(service=[changing(), plain])
    (part,) = parts_of(config, "s1")

    assert ["web"] == [planned.name for planned in part.plan.choices]


def test_a_file_whose_only_nodes_are_servers_is_still_balanced_by_anyone_else() -> None:
    config = Config(service=[changing()])

    assert ["balancer"] == [part.role for part in parts_of(config, "whoever")]
    assert ["server"] == [part.role for part in parts_of(config, "s1")]


def test_a_server_sends_to_all_servers_of_all_calculations_but_itself() -> None:
    before = [EarlierServers(key=SUM3, table="modulo", servers=servers("s1", "s9"))]
    plan = server_plan(Config(service=[changing(before=before)]), "s1")

    assert ["s2", "s3", "s4", "s9"] == [name for _, name, _ in plan.reached]


@given(flows())
def test_exactly_one_member_keeps_a_packet(flow: Flow) -> None:
    """Claim 34: whoever asks, the owner is the same, and only the owner is itself."""
    config = fleet()
    plans = [member_plan(config, config.cluster, node=name) for name in ("r1", "r2", "r3")]
    owners = {plan.where(flow).owner for plan in plans}

    assert 1 == len(owners)
    assert 1 == sum(plan.where(flow).owner == plan.node for plan in plans)


@given(flows())
def test_member_and_way_back_name_the_same_router(flow: Flow) -> None:
    """Claim 47: the router that kept the request is the one that the answer goes through."""
    for key in (SUM3, SUM5, "hash(src_ip, src_port, dst_port)"):
        config = fleet(cluster=[cluster(key=key)], return_path=[return_path(key=key, others=True)])
        kept = member_plan(config, config.cluster).where(flow).owner
        returned = return_plan(config, config.return_path).where(flow).owner

        assert kept == returned


@given(flows())
def test_the_formula_of_claim_34_is_that_of_claim_13(flow: Flow) -> None:
    config = fleet()
    total = int(flow.src_ip) + int(flow.dst_ip) + flow.dst_port

    assert f"r{total % 3 + 1}" == member_plan(config, config.cluster).where(flow).owner


def test_tiers_stand_in_the_order_in_which_a_packet_meets_them() -> None:
    assert ["cluster", "service", "return_path"] == [tier.kind for tier in tiers_of(fleet())]


def test_who_asks_does_not_change_the_fingerprint_but_the_role_does() -> None:
    config = fleet()
    some = [member_plan(config, config.cluster, node=name) for name in ("r1", "r2")]

    assert some[0].fingerprint == some[1].fingerprint
    assert some[0].fingerprint != replace(some[0], role="sender").fingerprint
    assert make_plan(config).fingerprint == make_plan(Config(service=config.service)).fingerprint
