"""Who answers a ping, and how?  docs/packets.md, section 8."""

from __future__ import annotations

import struct
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import ICMPv6EchoReply, IPv6
from scapy.layers.l2 import Ether

from remainder.flow import Address
from remainder.outcome import Outcome
from remainder.reference import Result, process
from tests import frames
from tests.frames import ICMP_OF
from tests.segment import (
    ALL,
    CLIENT,
    NODE,
    PING,
    PLAN,
    WEB,
    WHOLE,
    both_families,
    chain,
    icmp_packet,
    outcome,
    packet,
    run,
    vip,
)
from tests.unit.reference.test_model import fragment

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
@pytest.mark.parametrize("vlans", [(), ((0x8100, 5),), ((0x8100, 0xE000),)])
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

    node = replace(NODE, vlan=5) if (0x8100, 5) in vlans else NODE
    actual = process(PLAN, node, frames.to_balancer(request, vlans=vlans))

    assert Result(Outcome.ECHO_ANSWERED, answer) == actual


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
    assert f"s{0x1234 % 3}" == result.owner


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
    no_service = "echo_too_large" if why == "fragment" else "no_service"

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
        ("126.255.255.255", True),
        ("127.0.0.1", False),
        ("127.255.255.254", False),
        ("128.0.0.1", True),
        ("169.254.255.254", True),
        ("169.254.255.255", False),
        ("::1", False),
        ("::2", True),
        ("::1:0:0:0:1", True),
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
@pytest.mark.parametrize("number", [WEB, ALL])
def test_a_vip_pings_no_vip(version: int, number: int) -> None:
    """Such a source is forged, and what it is answered would be for us again."""
    request = ping(version, WEB, src=vip(version, number))

    assert Outcome.NO_SERVICE == outcome(request)


@both_families
def test_an_answer_goes_to_no_group_of_machines(version: int) -> None:
    request = frames.to_balancer(ping(version, WEB))

    assert Outcome.ECHO_ANSWERED == run(request).outcome
    assert Outcome.NO_SERVICE == run(request[:6] + b"\x01" + request[7:]).outcome


@both_families
@pytest.mark.parametrize("offset", [0, 1, 185])
def test_a_ping_larger_than_a_frame_is_named_unless_a_service_takes_it(
    version: int, offset: int
) -> None:
    outcomes = {
        number: outcome(fragment(version, number, ICMP_OF[version], offset))
        for number in (WEB, ALL, WHOLE, PING)
    }

    assert outcomes == {
        WEB: Outcome.ECHO_TOO_LARGE,
        ALL: Outcome.FORWARDED,
        WHOLE: Outcome.ECHO_TOO_LARGE,
        PING: Outcome.FRAGMENT_DROPPED,
    }


@both_families
def test_a_ping_of_another_address_is_not_vip(version: int) -> None:
    assert Outcome.NOT_VIP == outcome(ping(version, 99))


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
