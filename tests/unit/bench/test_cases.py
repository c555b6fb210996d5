"""The cases: every axis is met at its ends, and every packet is what it is called."""

from __future__ import annotations

from itertools import product

import pytest

from remainder.config import Config, Server, Service
from remainder.errors import ConfigError
from remainder.kernel.oracle import OWN_MAC, made_up_macs
from remainder.outcome import Outcome
from remainder.plan import Plan, make_plan
from remainder.reference import Node, process
from remainder_bench import cases
from remainder_bench.cases import AXES, Case, default, grid, matching, subject, subjects_of


def outcome_of(timed: cases.Subject) -> Outcome:
    node = Node(mac=OWN_MAC, macs=made_up_macs(timed.plan), vlan=timed.vlan)
    return process(timed.plan, node, timed.template.frame).outcome


@pytest.mark.parametrize("axis", AXES)
def test_the_short_set_meets_every_axis_at_its_ends(axis: str) -> None:
    met = {getattr(case, axis) for case in default()}

    assert {AXES[axis][0], AXES[axis][-1]} <= met


def test_the_short_set_has_every_kind_of_packet_and_every_key() -> None:
    assert set(AXES["kind"]) == {case.kind for case in default()}
    assert set(AXES["key"]) == {case.key for case in default()}


def test_the_grid_is_every_combination_but_those_of_files_that_nobody_has() -> None:
    combinations = [
        Case(**dict(zip(AXES, point, strict=True)))  # type: ignore[arg-type]  # each of its kind
        for point in product(*AXES.values())
    ]
    left_out = [case for case in combinations if case not in set(grid())]

    assert {(1_000, 4_000), (10_000, 100), (10_000, 4_000)} == {
        (case.services, case.servers) for case in left_out
    }


def test_names_of_cases_are_different() -> None:
    names = [case.name for case in grid()]

    assert len(names) == len(set(names))
    assert set(names) > {case.name for case in default()}


def test_a_pattern_chooses_cases() -> None:
    names = [case.name for case in grid()]

    assert {"ipv6/1/l2/hash/1x4"} == matching(names, ["ipv6/1/l2/hash/1x4"])
    assert all(name.startswith(("syn/", "udp/")) for name in matching(names, ["syn/*", "udp/*"]))
    assert set(names) == matching(names, [])


def test_a_pattern_that_chooses_nothing_is_an_error() -> None:
    with pytest.raises(ConfigError, match="ack/1 is one"):
        matching(["ack/1"], ["nothing"])


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        ("ack", Outcome.FORWARDED),
        ("syn", Outcome.FORWARDED),
        ("udp", Outcome.FORWARDED),
        ("ipv6", Outcome.FORWARDED),
        ("vlan", Outcome.FORWARDED),
        ("icmp", Outcome.FORWARDED_ERROR),
        ("foreign", Outcome.NOT_VIP),
    ],
)
def test_every_kind_of_packet_has_its_outcome(kind: str, outcome: Outcome) -> None:
    assert outcome == outcome_of(subject(Case(kind=kind)))


def test_services_stand_on_vips_in_a_row() -> None:
    timed = subject(Case(services=10))
    vips = [int(planned.choice.match.address) for planned in timed.plan.choices]

    assert list(range(vips[0], vips[0] + 10)) == vips
    assert timed.template.vips == 10


def plan_of(*services: dict[str, object]) -> Plan:
    usual = {"port": 80, "protocol": "tcp", "key": "src_ip", "table": "modulo"}
    return make_plan(
        Config(
            service=[
                Service(
                    **{
                        **usual,
                        "name": f"s{number}",
                        "servers": [
                            Server(
                                name="a",
                                address="2001:db8::1"
                                if ":" in str(service["vip"])
                                else "192.0.2.1",
                            )
                        ],
                        **service,
                    }  # type: ignore[arg-type]
                )
                for number, service in enumerate(services)
            ]
        )
    )


def test_of_a_file_the_services_that_cost_alike_are_timed_once() -> None:
    plan = plan_of(
        {"vip": "203.0.113.1"},
        {"vip": "203.0.113.2"},
        {"vip": "203.0.113.3", "protocol": "udp"},
        {"vip": "2001:db8:113::1"},
    )
    timed = {name.split("/")[2] for name in (item.name for item in subjects_of(plan))}

    assert {"s0", "s2", "s3", "ipv4", "ipv6"} == timed


def test_of_a_file_every_packet_has_the_outcome_that_its_name_says() -> None:
    plan = plan_of(
        {"vip": "203.0.113.1", "port": "any", "protocol": "any"},
        {"vip": "2001:db8:113::1", "protocol": "udp"},
    )
    wanted = {"icmp": Outcome.FORWARDED_ERROR, "foreign": Outcome.NOT_VIP}
    timed = subjects_of(plan)

    assert len(timed) == len({item.name for item in timed})
    for item in timed:
        assert wanted.get(item.name.split("/")[0], Outcome.FORWARDED) == outcome_of(item)


def test_a_file_without_tcp_and_udp_cannot_be_timed() -> None:
    plan = plan_of({"vip": "203.0.113.1", "port": "any", "protocol": "gre"})

    with pytest.raises(ConfigError, match="TCP or UDP"):
        subjects_of(plan)
