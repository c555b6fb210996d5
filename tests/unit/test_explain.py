"""The arithmetic of a decision, and why nobody takes a packet, in words."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from remainder import explain
from remainder.choice import ANY_ADDRESS, Match
from remainder.config import Config
from remainder.fleet import member_plan, return_plan
from remainder.flow import Address, Flow
from remainder.plan import make_plan
from tests.fleets import SUM5, changing, cluster, fleet, return_path
from tests.unit.test_plan import CLIENT, HASH, VIP, WEB, plan_of

UNTOUCHED = "the packet is passed to the network stack unchanged"


@pytest.mark.parametrize(
    ("flow", "outcome", "line"),
    [
        (
            Flow(CLIENT, 7, VIP, 0, 1),
            "echo_answered",
            "a ping of 203.0.113.10 is answered by the balancer itself",
        ),
        (
            Flow(CLIENT, 40000, VIP, 443, 6),
            "no_service",
            f"203.0.113.10 is a VIP, but has no service for tcp port 443: {UNTOUCHED}",
        ),
        (
            Flow(CLIENT, 40000, VIP, 0, 6),
            "no_service",
            (
                "no destination port given, and 203.0.113.10 has no service for tcp on any port "
                f"(add a port, e.g. 203.0.113.10:80): {UNTOUCHED}"
            ),
        ),
        (
            Flow(CLIENT, 40000, VIP, 0, 17),
            "no_service",
            f"203.0.113.10 is a VIP, but has no service for udp: {UNTOUCHED}",
        ),
        (
            Flow(CLIENT, 0, VIP, 0, 47),
            "no_service",
            f"203.0.113.10 is a VIP, but has no service for gre: {UNTOUCHED}",
        ),
        (
            Flow(CLIENT, 40000, CLIENT, 80, 6),
            "not_vip",
            f"198.51.100.7 is not a VIP in this file: {UNTOUCHED}",
        ),
    ],
)
def test_a_packet_that_goes_to_no_server_is_told_why(flow: Flow, outcome: str, line: str) -> None:
    plan = plan_of(WEB)
    decision = plan.where(flow)

    assert outcome == decision.outcome
    assert [line] == explain.lines(plan, decision)


def test_the_arithmetic_of_a_sum_is_shown_line_by_line() -> None:
    plan = plan_of(WEB)
    decision = plan.where(Flow(CLIENT, 40000, VIP, 80, 6))

    assert [
        "service  web: 203.0.113.10:80 tcp",
        "  src_ip   = 3325256711  (198.51.100.7)",
        "  dst_ip   = 3405803786  (203.0.113.10)",
        "  dst_port = 80",
        "key      src_ip + dst_ip + dst_port = 6731060577",
        "slot     6731060577 % 3 = 0",
        "owner    slot 0 of table modulo → s1 (192.0.2.11)",
        "method   l2",
    ] == explain.lines(plan, decision)


def test_the_arithmetic_of_a_hash_shows_what_is_hashed() -> None:
    plan = plan_of(HASH)
    decision = plan.where(Flow(CLIENT, 40000, VIP, 80, 6))

    assert decision.key is not None
    assert decision.slot == decision.key % 251
    message = "c6336407000000009c40000000"

    line = f"key      {HASH.key} = SipHash-1-3({message}) = {decision.key}"

    assert line in explain.lines(plan, decision)


def test_earlier_calculations_are_shown_with_who_is_asked() -> None:
    plan = make_plan(Config(service=[changing()]))
    moved = explain.lines(plan, plan.where(Flow(CLIENT, 40000, VIP, 80, 6)))
    stays = explain.lines(plan, plan.where(Flow(CLIENT, 40001, VIP, 80, 6)))

    assert [
        f"before   {SUM5} = 6731100583, 6731100583 % 3 = slot 1 of table modulo → s2",
        "chance   none needed: every calculation names the same owner",
    ] == moved[-2:]
    assert [
        f"before   {SUM5} = 6731100584, 6731100584 % 3 = slot 2 of table modulo → s3",
        "chance   a session that s2 does not know goes to s3",
    ] == stays[-2:]


def test_a_member_and_a_sender_are_told_of_in_their_own_words() -> None:
    flow = Flow(CLIENT, 40000, VIP, 80, 6)
    keeps = member_plan(fleet(), [cluster(address="203.0.113.30")])
    returns = return_plan(fleet(), [return_path()])
    shared = Flow(CLIENT, 40000, "203.0.113.30", 80, 6)

    kept = explain.lines(keeps, keeps.where(shared))
    returned = explain.lines(returns, returns.where(flow))

    assert "cluster  routers: 203.0.113.30 any port any" == kept[0]
    assert "keep     all other members drop it" == kept[-1]
    assert "way back back/web: 203.0.113.10:80 tcp" == returned[0]
    assert "method   l2" == returned[-1]


@pytest.mark.parametrize(
    ("address", "port", "protocol", "place"),
    [
        (VIP, 80, 6, "203.0.113.10:80 tcp"),
        (VIP, 80, None, "203.0.113.10:80 any"),
        (VIP, None, 6, "203.0.113.10 any port tcp"),
        (ip_address("2001:db8::10"), 80, 17, "[2001:db8::10]:80 udp"),
        (ANY_ADDRESS[4], None, None, "everything else"),
    ],
)
def test_a_place_is_address_port_and_protocol(
    address: Address, port: int | None, protocol: int | None, place: str
) -> None:
    assert place == explain.place(Match(address, port, protocol))
