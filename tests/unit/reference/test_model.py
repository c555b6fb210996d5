"""What becomes of a packet, and its new bytes?  docs/packets.md, sections 6, 7 and 9.

What is expected is worked out by hand, or built from scratch by tests/frames.py.
"""

from __future__ import annotations

import dataclasses
import struct
from typing import Any, Final, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remainder.flow import Flow
from remainder.outcome import Outcome
from remainder.plan import Plan
from remainder.reference import Node, Result, process
from tests import frames, strategies
from tests.frames import DESTINATION_OPTIONS, GRE, ICMP_OF, fragment_header
from tests.segment import (
    ALL,
    CLIENT,
    ERROR,
    NODE,
    PING,
    PLAN,
    WEB,
    WHOLE,
    both_families,
    chain,
    error_about,
    flow_of,
    outcome,
    packet,
    plan_of,
    reply,
    run,
    service,
    services,
    vip,
    web_packet,
)

# --- 6. Service


@both_families
@pytest.mark.parametrize(
    ("number", "protocol", "port", "wanted"),
    [
        (WEB, 6, 80, "forwarded"),
        (WEB, 17, 80, "no_service"),
        (WEB, 6, 53, "forwarded"),
        (WEB, 132, 53, "forwarded"),
        (WEB, GRE, 0, "no_service"),
        (WEB, 6, 0, "no_service"),
        (ALL, 6, 0, "forwarded"),
        (ALL, GRE, 0, "forwarded"),
        (PING, 17, 7, "forwarded"),
        (PING, 17, 0, "forwarded"),
        (PING, 6, 7, "no_service"),
        (99, 6, 80, "not_vip"),
    ],
)
def test_a_service_takes_its_port_and_protocol_at_its_vip(
    version: int, number: int, protocol: int, port: int, wanted: str
) -> None:
    payload = frames.transport(protocol, 4321, port)

    assert wanted == outcome(packet(version, number, protocol, payload))


@both_families
def test_the_most_specific_service_wins(version: int) -> None:
    address = vip(version, WEB)
    claims: list[tuple[int | Literal["any"], str]] = [
        *((80, "tcp"), (80, "any"), ("any", "tcp"), ("any", "any"))
    ]
    frame = frames.to_balancer(web_packet(version))
    for first in range(4):
        plan = plan_of(*(service(address, *one, key="src_ip") for one in reversed(claims[first:])))
        port, protocol = claims[first]

        assert f"{address}-{port}-{protocol}".replace(":", ".") == process(plan, NODE, frame).choice


# --- 7. Fragments


def fragment(version: int, number: int, protocol: int, offset: int, **kind: bool) -> bytes:
    payload = frames.transport(protocol, 4321, 80, bytes(16))
    more = kind.get("more", True)
    if version == 4:
        return packet(4, number, protocol, payload, fragment=(offset, more))
    return packet(6, number, protocol, payload, extensions=[fragment_header(offset, more=more)])


@both_families
@pytest.mark.parametrize(
    ("number", "protocol", "wanted"),
    [
        pytest.param(ALL, 6, "forwarded", id="the service forwards fragments"),
        pytest.param(ALL, GRE, "forwarded", id="of any protocol"),
        pytest.param(PING, 17, "forwarded", id="of its protocol"),
        pytest.param(WHOLE, 6, "fragment_dropped", id="the service drops fragments"),
        pytest.param(WEB, 6, "fragment_dropped", id="a port of this protocol is served"),
        pytest.param(WEB, 17, "fragment_dropped", id="a port of any protocol is served"),
        pytest.param(PING, 6, "no_service", id="nothing here takes the protocol"),
        pytest.param(99, 6, "not_vip", id="the address is no VIP"),
    ],
)
@pytest.mark.parametrize(("offset", "more"), [(0, True), (1, True), (185, False)])
def test_first_middle_and_last_fragment_are_treated_alike(
    version: int, number: int, protocol: int, wanted: str, offset: int, *, more: bool
) -> None:
    assert wanted == outcome(fragment(version, number, protocol, offset, more=more))


@pytest.mark.parametrize("protocol", [0, 43, 44, 51, 60])
@pytest.mark.parametrize(("version", "wanted"), [(4, "forwarded"), (6, "fragment_dropped")])
@pytest.mark.parametrize(("offset", "more"), [(0, True), (1, True), (185, False)])
def test_under_ipv6_a_session_may_hide_behind_an_extension_header(
    version: int, wanted: str, protocol: int, offset: int, *, more: bool
) -> None:
    """A fragment shows the first header of what was cut, not the protocol; IPv4 has no such."""
    assert wanted == outcome(fragment(version, ALL, protocol, offset, more=more))


@both_families
def test_a_fragment_of_a_protocol_without_ports_is_no_business_of_a_service_with_one(
    version: int,
) -> None:
    plan = plan_of(service(vip(version, WEB), 80, "tcp", "src_ip"))

    assert Outcome.NO_SERVICE == outcome(fragment(version, WEB, 17, 1), plan=plan)
    assert Outcome.FRAGMENT_DROPPED == outcome(fragment(version, WEB, 6, 1), plan=plan)


@both_families
def test_fragments_and_whole_packets_of_a_session_meet_the_same_server(version: int) -> None:
    whole = packet(version, ALL, 17, frames.udp(4321, 80))
    parts = [whole, fragment(version, ALL, 17, 0), fragment(version, ALL, 17, 9, more=False)]

    assert 1 == len({run(frames.to_balancer(part)).owner for part in parts})


@both_families
def test_a_fragment_has_no_ports_and_its_icmp_is_not_opened(version: int) -> None:
    icmp = ICMP_OF[version]
    message = frames.icmp(CLIENT[version], vip(version, ALL), ERROR[version])
    extra: dict[str, Any] = (
        {"fragment": (0, True)} if version == 4 else {"extensions": [fragment_header(0, more=True)]}
    )
    part = packet(version, ALL, icmp, message, **extra)

    assert Flow(CLIENT[version], 0, vip(version, ALL), 0, icmp) == flow_of(part)
    assert Outcome.FORWARDED == outcome(part)


def test_a_fragment_of_ipv6_has_the_protocol_of_its_fragment_header() -> None:
    part = web_packet(6, extensions=[*chain(0), fragment_header(2, more=True), *chain(60)])

    assert Flow(CLIENT[6], 0, vip(6, WEB), 0, DESTINATION_OPTIONS) == flow_of(part)


@pytest.mark.parametrize("flags", [0x4000, 0x8000, 0xC000])
def test_the_other_flags_of_ipv4_make_no_fragment(flags: int) -> None:
    whole = web_packet(4)

    assert Outcome.FORWARDED == outcome(whole[:6] + struct.pack("!H", flags) + whole[8:])


@both_families
@pytest.mark.parametrize(
    ("number", "protocol", "wanted"),
    [
        (ALL, 6, "forwarded_error"),
        (WHOLE, 6, "fragment_dropped"),
        (WEB, 6, "fragment_dropped"),
        (PING, 6, "no_service"),
    ],
)
def test_an_error_about_a_later_fragment_follows_the_rules_of_fragments(
    version: int, number: int, protocol: int, wanted: str
) -> None:
    extra: dict[str, Any] = (
        {"fragment": (9, False)}
        if version == 4
        else {"extensions": [fragment_header(9, more=False)]}
    )
    quoted = reply(version, number, protocol, frames.tcp(80, 4321), **extra)

    assert wanted == outcome(error_about(quoted, number=number))


# --- 9. Key, slot, owner


@pytest.mark.parametrize(
    ("version", "key"),
    [
        (4, 0xC6336407 + 0xCB00710A + 80),
        (6, 0x20010DB8000200000000000000000007 + 0x20010DB8000000000000000000000010 + 80),
    ],
)
def test_the_frame_goes_to_the_remainder_with_two_new_mac_addresses(version: int, key: int) -> None:
    frame = frames.to_balancer(web_packet(version))
    result = run(frame)

    assert f"s{key % 3}" == result.owner
    assert (
        frames.mac(version * 16 + key % 3) + frames.BALANCER + frames.onward(frame) == result.frame
    )


@both_families
def test_a_forwarded_packet_is_that_of_a_sender_one_hop_further_away(version: int) -> None:
    ttl = "ttl" if version == 4 else "hop_limit"
    result = run(frames.to_balancer(web_packet(version, **{ttl: 61})))
    nearer = frames.to_balancer(web_packet(version, **{ttl: 60}))

    assert nearer[12:] == (result.frame or b"")[12:]


@both_families
@pytest.mark.parametrize("ttl", [0, 1])
def test_a_packet_without_a_ttl_to_spend_ends(version: int, ttl: int) -> None:
    field = "ttl" if version == 4 else "hop_limit"
    result = run(frames.to_balancer(web_packet(version, **{field: ttl})))

    assert (Outcome.TTL_EXPIRED, None) == (result.outcome, result.frame)


def test_every_header_checksum_right_or_wrong_goes_on_as_in_a_router() -> None:
    plain = frames.to_balancer(web_packet(4))
    for checksum in range(0x10000):
        frame = plain[:24] + checksum.to_bytes(2, "big") + plain[26:]

        assert frames.onward(frame) == (run(frame).frame or b"")[12:]


@both_families
def test_a_server_that_is_not_resolved_gets_nothing_and_is_named(version: int) -> None:
    frame = frames.to_balancer(web_packet(version))
    blind = Node(mac=frames.BALANCER, macs={})
    wanted = run(frame)

    assert Result(Outcome.UNRESOLVED, choice=wanted.choice, owner=wanted.owner) == process(
        PLAN, blind, frame
    )


def test_a_table_that_points_at_nobody_is_no_owner() -> None:
    (planned,) = plan_of(services(4)[0]).choices
    broken = dataclasses.replace(planned, table=np.array([3], dtype=np.uint16))
    result = process(Plan(choices=(broken,)), NODE, frames.to_balancer(web_packet(4)))

    assert Result(Outcome.NO_OWNER, choice=planned.name) == result


# --- other MAC addresses of the machine

SECOND: Final = frames.mac(0x2222)
TWO_CARDS: Final = dataclasses.replace(NODE, strange_macs=[SECOND])


def to_second(packet: bytes, **fields: Any) -> bytes:
    return SECOND + frames.to_balancer(packet, **fields)[6:]


@both_families
def test_a_vip_that_comes_to_another_address_of_the_machine_is_named(version: int) -> None:
    sent = to_second(web_packet(version))

    assert Result(Outcome.OTHER_OWN_MAC) == process(PLAN, TWO_CARDS, sent)
    assert Result(Outcome.OTHER_MAC) == process(PLAN, NODE, sent)


@both_families
def test_what_comes_to_another_address_for_others_is_none_of_the_balancers(version: int) -> None:
    elsewhere = to_second(packet(version, 99, 6, frames.tcp(4321, 80)))
    cut = to_second(web_packet(version))[: 14 + (19 if version == 4 else 39)]
    wrong = to_second(web_packet(version, version=5), ethertype=frames.ETHERTYPE[version])

    for frame in (elsewhere, cut, wrong, to_second(web_packet(version), ethertype=frames.ARP)):
        assert Result(Outcome.OTHER_MAC) == process(PLAN, TWO_CARDS, frame)


@both_families
def test_an_accepted_address_is_as_good_as_the_own_and_stays_on_what_is_sent(version: int) -> None:
    virtual = bytes.fromhex("00005e000133")
    node = dataclasses.replace(NODE, accepted_macs=[virtual])
    own = process(PLAN, node, frames.to_balancer(web_packet(version)))
    other = process(PLAN, node, virtual + frames.to_balancer(web_packet(version))[6:])

    assert own.frame is not None
    assert dataclasses.replace(own, frame=own.frame[:6] + virtual + own.frame[12:]) == other


# --- whatever the packet


@given(strategies.cases())
def test_a_sent_frame_is_the_old_one_but_for_what_its_outcome_says(case: strategies.Case) -> None:
    for frame in case.frames:
        result = process(case.plan, case.node, frame)

        assert (result.frame is not None) == (result.outcome.verdict == "tx")
        if result.frame is not None:
            assert len(frame) == len(result.frame)
            assert frame[:6] == result.frame[6:12]
            assert frame[:6] in (case.node.mac, *case.node.accepted_macs)
        if result.outcome in (Outcome.FORWARDED, Outcome.FORWARDED_ERROR):
            assert frames.onward(frame) == (result.frame or b"")[12:]
            assert (result.frame or b"")[:6] in case.node.macs.values()


@given(st.data())
def test_where_and_the_whole_packet_agree(data: st.DataObject) -> None:
    plan = data.draw(strategies.plans())
    macs = {
        one.address: frames.mac(7)
        for planned in plan.choices
        for one in planned.owners
        if one.address
    }
    node = Node(mac=frames.BALANCER, macs=macs)
    for flow in data.draw(
        st.lists(st.one_of(strategies.flows_to(plan), strategies.flows()), min_size=5, max_size=20)
    ):
        decision, result = plan.where(flow), process(plan, node, frames.frame_of(flow))

        assert (decision.outcome, decision.choice, decision.owner) == (
            result.outcome,
            result.choice,
            result.owner,
        )


@given(st.one_of(strategies.short_frames(), st.binary(max_size=200)))
def test_no_bytes_are_too_strange_to_have_an_outcome(frame: bytes) -> None:
    to_us = frames.BALANCER + frame[6:]

    assert run(frame).outcome in Outcome
    assert run(to_us).outcome in Outcome
    assert run(to_us[:12] + b"\x86\xdd" + frame[14:]).outcome in Outcome
