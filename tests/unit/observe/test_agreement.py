"""Two parties agree, or there is a packet on which they do not."""

from __future__ import annotations

from typing import Any

import pytest

from remainder import explain
from remainder.config import Config, Server
from remainder.fleet import member_plan
from remainder.observe.agreement import compare, coverage, difference, rebuilt
from remainder.plan import Plan, make_plan
from tests.fleets import cluster, fleet, service


def report(plan: Plan, node: str, **changed: Any) -> dict[str, Any]:
    """What ``status --json`` says of a plan that runs."""
    return {
        "node": node,
        "role": plan.role,
        "fingerprint": {"tables": plan.fingerprint},
        "services": [
            {
                "name": planned.name,
                **planned.choice.match.written()._asdict(),
                "key": str(planned.key),
                "table": planned.choice.table,
                "slots": planned.slots,
                "method": planned.choice.method,
                "fragments": planned.choice.fragments,
                "servers": [
                    {
                        "name": owner.name,
                        "address": str(owner.address) if owner.address else "",
                        "weight": owner.weight,
                        "slots": int((planned.table == number).sum()),
                        "slot": owner.home,
                        "packets": 10,
                    }
                    for number, owner in enumerate(planned.owners)
                ],
            }
            for planned in plan.choices
        ],
    } | changed


def test_the_same_file_agrees() -> None:
    plan = make_plan(fleet())

    assert compare(plan, report(plan, "lb1")).agrees


@pytest.mark.parametrize(
    "other",
    [
        service(key="src_ip + src_port"),
        service(table="maglev"),
        service(table="rendezvous", slots=251),
        service(
            slots=3,
            servers=[
                Server(name="s1", address="192.0.2.11", slot=0),
                Server(name="s2", address="192.0.2.12", slot=2),
            ],
        ),
        service(port=81),
        service(protocol="udp"),
        service(vip="203.0.113.11"),
        service(servers=[Server(name="s1", address="192.0.2.11")]),
        service(
            servers=[
                Server(name="s2", address="192.0.2.12"),
                Server(name="s1", address="192.0.2.11"),
            ]
        ),
        service(
            servers=[
                Server(name="s1", address="192.0.2.11"),
                Server(name="s2", address="192.0.2.13"),
            ]
        ),
    ],
)
def test_another_file_is_shown_by_a_packet(other: Any) -> None:
    """The packet is a proof: both plans are asked again, and differ on it."""
    ours, theirs = make_plan(Config(service=[service()])), make_plan(Config(service=[other]))
    found = compare(ours, report(theirs, "lb2"))

    assert not found.agrees
    assert found.flow is not None
    assert explain.lines(ours, ours.where(found.flow)) != explain.lines(
        theirs, theirs.where(found.flow)
    )
    assert found.ours != found.theirs or "192.0.2" in str(other.servers)


def test_another_secret_is_told_though_no_packet_can_show_it() -> None:
    hashed = service(key="hash(src_ip)")
    ours, theirs = (
        make_plan(Config(service=[hashed], secret=digits * 16)) for digits in ("00", "11")
    )

    assert "different secrets" in compare(ours, report(theirs, "lb2")).reason


def test_a_plan_can_be_made_again_from_what_a_node_says() -> None:
    config = fleet(cluster=[cluster(table="maglev"), cluster(name="s", address="203.0.113.20")])
    own = [Server(name=f"s{n}", address=f"192.0.2.1{n}", slot=n) for n in (4, 0, 2)]
    fixed = make_plan(Config(service=[service(slots=6, servers=own)]))
    for plan in (make_plan(config), member_plan(config, config.cluster), fixed):
        again = rebuilt(report(plan, "x"), plan.secret)

        assert plan.fingerprint == again.fingerprint
        assert difference(plan, again) is None


def test_members_that_own_all_slots_cover_the_cluster() -> None:
    plan = member_plan(fleet(), [cluster(address="203.0.113.20")])
    (covered,) = coverage([report(plan, name) for name in ("r1", "r2", "r3")])

    assert covered.complete
    assert covered.slots == sum(covered.owned.values())
    assert 30 == covered.kept
    assert {"r1": 30, "r2": 30, "r3": 30} == covered.seen


def test_a_member_that_does_not_run_leaves_a_gap() -> None:
    plan = member_plan(fleet(), [cluster(address="203.0.113.20")])
    (covered,) = coverage([report(plan, name) for name in ("r1", "r3")])

    assert not covered.complete
    assert {"r2": 1} == covered.missing
