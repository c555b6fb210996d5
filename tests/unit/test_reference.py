"""Sections 6 to 9 of docs/packets.md as statements: what becomes of a packet, and its new bytes.

What is expected is worked out by hand, or built from scratch by tests/frames.py.
"""

from __future__ import annotations

import dataclasses
import struct
from ipaddress import ip_address
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import ICMPv6EchoReply, IPv6
from scapy.layers.l2 import Ether

from remainder.flow import Address, Flow
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
    icmp_packet,
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

        assert (
            f"{address}-{port}-{protocol}".replace(":", ".") == process(plan, NODE, frame).service
        )


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

    assert 1 == len({run(frames.to_balancer(part)).server for part in parts})


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


# --- 8. Echo


def ping(version: int, number: int, **fields: Any) -> bytes:
    source = fields.pop("src", CLIENT[version])
    code = fields.pop("code", 0)
    payload = bytes(range(fields.pop("size", 33)))
    message = frames.echo(source, vip(version, number), code=code, payload=payload)
    return packet(version, number, ICMP_OF[version], message, src=source, **fields)


@both_families
@pytest.mark.parametrize("number", [WEB, ALL, WHOLE])
@pytest.mark.parametrize("ttl", [0, 1, 61, 64, 65, 255])
@pytest.mark.parametrize("size", [0, 1, 33])
@pytest.mark.parametrize("vlans", [(), ((0x8100, 5),)])
def test_a_ping_is_answered_with_right_checksums_and_the_vlan_it_came_in(
    version: int, number: int, ttl: int, size: int, vlans: tuple[tuple[int, int], ...]
) -> None:
    ttl_field = "ttl" if version == 4 else "hop_limit"
    request = ping(version, number, size=size, **{ttl_field: ttl})
    kind = {4: 0, 6: 129}[version]
    message = frames.echo(
        vip(version, number), CLIENT[version], kind=kind, payload=bytes(range(size))
    )
    answer = frames.ethernet(
        frames.ROUTER,
        frames.BALANCER,
        ethertype={4: 0x0800, 6: 0x86DD}[version],
        vlans=vlans,
        payload=frames.ip(
            vip(version, number),
            CLIENT[version],
            protocol=ICMP_OF[version],
            payload=message,
            ttl=64,
        ),
    )

    assert Result(Outcome.ECHO_ANSWERED, answer) == run(frames.to_balancer(request, vlans=vlans))


@both_families
@pytest.mark.parametrize("wrong", [0x0000, 0xFFFF, 0xFFFE, 0x1234])
def test_a_wrong_checksum_stays_wrong_by_as_much(version: int, wrong: int) -> None:
    """Request and answer differ in type and checksum only, which must balance."""
    request = with_icmp_checksum(ping(version, WEB), wrong)
    answer = (run(frames.to_balancer(request)).frame or b"")[14:]
    icmp_at = 20 if version == 4 else 40

    assert frames.checksum(request[icmp_at:]) == frames.checksum(answer[icmp_at:])
    assert request[icmp_at + 4 :] == answer[icmp_at + 4 :]


def with_icmp_checksum(message: bytes, wrong: int) -> bytes:
    at = (20 if message[0] >> 4 == 4 else 40) + 2
    return message[:at] + struct.pack("!H", wrong) + message[at + 2 :]


@pytest.mark.parametrize(
    ("source", "ttl", "wanted"),
    [
        pytest.param(CLIENT[4], 61, 0xFCFF, id="TTL changed"),
        pytest.param(CLIENT[4], 64, 0x0000, id="TTL as it was"),
        pytest.param(vip(4, WEB), 64, 0x0000, id="no word of the header changed"),
    ],
)
def test_a_header_checksum_that_no_header_has_is_updated_too(
    source: Address, ttl: int, wanted: int
) -> None:
    """0xffff stands for a sum of 0, which becomes the other zero, whatever the TTL was."""
    request = ping(4, WEB, src=source, ttl=ttl, header_checksum=0xFFFF)
    answer = run(frames.to_balancer(request)).frame or b""

    assert wanted == int.from_bytes(answer[24:26], "big")


@both_families
def test_padding_behind_a_ping_comes_back_with_the_answer(version: int) -> None:
    result = run(frames.to_balancer(ping(version, WEB, size=1) + b"\xee" * 17))

    assert Outcome.ECHO_ANSWERED == result.outcome
    assert b"\x00" + b"\xee" * 17 == (result.frame or b"")[-18:]


@both_families
def test_a_service_that_names_icmp_takes_pings_and_their_identifier_is_the_key(
    version: int,
) -> None:
    result = run(frames.to_balancer(ping(version, PING)))

    assert Outcome.FORWARDED == result.outcome
    assert f"s{0x1234 % 3}" == result.server


@both_families
@pytest.mark.parametrize("why", ["options", "code", "source", "reply", "fragment"])
def test_a_strange_ping_is_no_service_or_goes_where_a_service_takes_anything(
    version: int, why: str
) -> None:
    multicast = ip_address("224.0.0.1" if version == 4 else "ff02::1")
    fields: dict[str, Any] = {
        "options": {"options": bytes(4)} if version == 4 else {"extensions": chain(60)},
        "code": {"code": 1},
        "source": {"src": multicast},
        "reply": {},
        "fragment": {},
    }[why]
    strange = {number: ping(version, number, **fields) for number in (WEB, ALL)}
    if why == "reply":
        kind = frames.ECHO_REPLY[version]
        strange = {number: icmp_packet(version, number, kind) for number in (WEB, ALL)}
    if why == "fragment":
        strange = {n: fragment(version, n, ICMP_OF[version], 0) for n in (WEB, ALL)}
    no_service = "fragment_dropped" if why == "fragment" else "no_service"

    assert no_service == outcome(strange[WEB])
    assert Outcome.FORWARDED == outcome(strange[ALL])


@pytest.mark.parametrize(
    ("source", "answered"),
    [
        ("0.0.0.1", False),
        ("1.0.0.1", True),
        ("223.255.255.255", True),
        ("224.0.0.0", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", True),
        ("fe80::1", True),
        ("feff::", True),
        ("ff00::1", False),
    ],
)
def test_only_one_machine_is_answered(source: str, *, answered: bool) -> None:
    address = ip_address(source)
    wanted = Outcome.ECHO_ANSWERED if answered else Outcome.NO_SERVICE

    assert wanted == outcome(ping(address.version, WEB, src=address))


@both_families
def test_a_ping_of_another_address_is_not_vip(version: int) -> None:
    assert Outcome.NOT_VIP == outcome(ping(version, 99))


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

    assert f"s{key % 3}" == result.server
    assert frames.mac(version * 16 + key % 3) + frames.BALANCER + frame[12:] == result.frame


@both_families
def test_a_server_that_is_not_resolved_gets_nothing_and_is_named(version: int) -> None:
    frame = frames.to_balancer(web_packet(version))
    blind = Node(mac=frames.BALANCER, macs={})
    wanted = run(frame)

    assert Result(Outcome.UNRESOLVED, service=wanted.service, server=wanted.server) == process(
        PLAN, blind, frame
    )


def test_a_table_that_points_at_nobody_is_no_owner() -> None:
    (planned,) = plan_of(services(4)[0]).services
    broken = dataclasses.replace(planned, table=np.array([3], dtype=np.uint16))
    result = process(Plan(services=(broken,)), NODE, frames.to_balancer(web_packet(4)))

    assert Result(Outcome.NO_OWNER, service=planned.name) == result


@both_families
def test_scapy_reads_an_answer_to_a_ping_and_finds_its_checksums_right(version: int) -> None:
    answer = Ether(run(frames.to_balancer(ping(version, WEB))).frame or b"")
    rebuilt = answer.copy()
    if version == 4:
        del rebuilt[IP].chksum, rebuilt[ICMP].chksum
    else:
        del rebuilt[ICMPv6EchoReply].cksum

    assert str(CLIENT[version]) == answer[IP if version == 4 else IPv6].dst
    assert bytes(rebuilt) == bytes(answer)


# --- whatever the packet


@given(strategies.cases())
def test_a_sent_frame_is_the_old_one_but_for_what_its_outcome_says(case: strategies.Case) -> None:
    for frame in case.frames:
        result = process(case.plan, case.node, frame)

        assert (result.frame is not None) == (result.outcome.verdict == "tx")
        if result.frame is not None:
            assert len(frame) == len(result.frame)
            assert case.node.mac == result.frame[6:12]
        if result.outcome in (Outcome.FORWARDED, Outcome.FORWARDED_ERROR):
            assert frame[12:] == (result.frame or b"")[12:]
            assert (result.frame or b"")[:6] in case.node.macs.values()


@given(st.data())
def test_where_and_the_whole_packet_agree(data: st.DataObject) -> None:
    plan = data.draw(strategies.plans())
    macs = {one.ip: frames.mac(7) for planned in plan.services for one in planned.servers}
    node = Node(mac=frames.BALANCER, macs=macs)
    for flow in data.draw(
        st.lists(st.one_of(strategies.flows_to(plan), strategies.flows()), min_size=5, max_size=20)
    ):
        decision, result = plan.where(flow), process(plan, node, frames.frame_of(flow))

        assert (decision.outcome, decision.service, decision.server) == (
            result.outcome,
            result.service,
            result.server,
        )


@given(st.one_of(strategies.short_frames(), st.binary(max_size=200)))
def test_no_bytes_are_too_strange_to_have_an_outcome(frame: bytes) -> None:
    to_us = frames.BALANCER + frame[6:]

    assert run(frame).outcome in Outcome
    assert run(to_us).outcome in Outcome
    assert run(to_us[:12] + b"\x86\xdd" + frame[14:]).outcome in Outcome
