"""How is a frame read?  docs/packets.md, sections 1 to 4."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

import pytest

from remainder.flow import Flow
from remainder.outcome import Outcome
from remainder.reference import Result, process
from tests import frames
from tests.frames import (
    AUTHENTICATION,
    GRE,
    ICMP_OF,
    NO_NEXT_HEADER,
    Extension,
    extension,
    fragment_header,
)
from tests.segment import (
    ALL,
    CLIENT,
    ERROR,
    NODE,
    PLAN,
    WHOLE,
    both_families,
    chain,
    flow_of,
    icmp_packet,
    outcome,
    packet,
    plan_of,
    run,
    services,
    vip,
    web_packet,
)

# --- 1. Ethernet


@pytest.mark.parametrize("size", range(14))
def test_a_frame_without_a_whole_ethernet_header_is_malformed(size: int) -> None:
    assert Result(Outcome.MALFORMED) == run(frames.to_balancer(web_packet(4))[:size])


@pytest.mark.parametrize("mac", ["ffffffffffff", "01005e000001", "333300000001", "020000000009"])
def test_a_frame_to_another_mac_is_left_alone_whatever_is_in_it(mac: str) -> None:
    whole = bytes.fromhex(mac) + frames.to_balancer(web_packet(4))[6:]

    assert {Outcome.OTHER_MAC} == {run(whole[:size]).outcome for size in range(14, len(whole) + 1)}


UNTAGGED: Final[list[list[tuple[int, int]]]] = [[], [(0x8100, 0)], [(0x8100, 0xE000)]]
VLAN_5: Final[list[list[tuple[int, int]]]] = [[(0x8100, 5)], [(0x8100, 0xF005)]]
OTHERS: Final[list[list[tuple[int, int]]]] = [
    [(0x8100, 6)],
    [(0x8100, 0x105)],
    [(0x88A8, 5)],
    [(0x88A8, 0)],
    [(0x88A8, 5), (0x8100, 5)],
    [(0x8100, 5), (0x8100, 5)],
    [(0x8100, 5), (0x88A8, 5)],
    [(0x8100, 0), (0x8100, 5)],
    [(0x8100, 0), (0x8100, 0)],
]


@both_families
@pytest.mark.parametrize("vlan", [None, 5])
def test_only_frames_with_the_tag_of_the_file_are_taken_and_it_stays(
    version: int, vlan: int | None
) -> None:
    """A priority tag, whose ID is 0, is as good as none."""
    taken, left = (UNTAGGED, VLAN_5) if vlan is None else (VLAN_5, UNTAGGED)
    node = dataclasses.replace(NODE, vlan=vlan)
    for vlans in taken:
        frame = frames.to_balancer(web_packet(version), vlans=vlans)
        result = process(PLAN, node, frame)

        assert Outcome.FORWARDED == result.outcome
        assert frames.onward(frame) == (result.frame or b"")[12:]
    for vlans in left + OTHERS:
        frame = frames.to_balancer(web_packet(version), vlans=vlans)

        assert Result(Outcome.OTHER_VLAN) == process(PLAN, node, frame)


@pytest.mark.parametrize("vlan", [None, 5])
def test_a_vlan_tag_cut_short_is_malformed(vlan: int | None) -> None:
    node = dataclasses.replace(NODE, vlan=vlan)
    whole = frames.to_balancer(web_packet(4), vlans=[(0x8100, 5)])
    starts = [whole[: 18 - missing] for missing in (1, 2, 3, 4)]

    assert [Outcome.MALFORMED] * 4 == [process(PLAN, node, start).outcome for start in starts]


def test_on_a_vlan_nothing_untagged_is_ours_whatever_it_is() -> None:
    node = dataclasses.replace(NODE, vlan=5)
    kinds = (frames.ARP, frames.IPV4, frames.IPV6, 0x88CC)

    assert {Outcome.OTHER_VLAN} == {
        process(PLAN, node, frames.to_balancer(web_packet(4), ethertype=kind)).outcome
        for kind in kinds
    }


@pytest.mark.parametrize("ethertype", [frames.ARP, 0x88CC, 0x8847, 0x05DC, 0x9100, 0])
def test_another_ethertype_is_not_ip(ethertype: int) -> None:
    frame = frames.ethernet(
        frames.BALANCER, frames.ROUTER, ethertype=ethertype, payload=web_packet(4)
    )

    assert Outcome.NOT_IP == run(frame).outcome


@both_families
def test_without_a_vip_of_the_family_nothing_of_the_packet_is_read(version: int) -> None:
    other_family = plan_of(*services(10 - version))
    packets = [b"", b"\x00", web_packet(version)[:19], web_packet(version)]
    ethertype = frames.IPV4 if version == 4 else frames.IPV6
    built = [
        frames.ethernet(frames.BALANCER, frames.ROUTER, ethertype=ethertype, payload=one)
        for one in packets
    ]

    assert [Outcome.NOT_VIP] * 4 == [process(other_family, NODE, one).outcome for one in built]
    assert [Outcome.MALFORMED] * 3 == [run(one).outcome for one in built[:3]]


# --- 2 and 3. IPv4 and IPv6


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        pytest.param({"version": 6}, "malformed", id="another version"),
        pytest.param({"header_words": 4}, "malformed", id="header shorter than a header"),
        pytest.param({"header_words": 0}, "malformed", id="header of length 0"),
        pytest.param({"header_words": 15}, "malformed", id="header longer than the frame"),
        pytest.param({"total_bytes": 19}, "malformed", id="total length below the header's"),
        pytest.param({"total_bytes": 0}, "malformed", id="total length 0"),
        pytest.param(
            {"options": bytes(4), "total_bytes": 23}, "malformed", id="total length inside options"
        ),
        pytest.param({"total_bytes": 23}, "malformed", id="total length inside the ports"),
        pytest.param({"total_bytes": 24}, "forwarded", id="total length just behind the ports"),
        pytest.param({"total_bytes": 0xFFFF}, "forwarded", id="total length past the frame"),
        pytest.param({"header_checksum": 0xBAD}, "forwarded", id="checksum is not verified"),
        pytest.param({"options": bytes([1]) * 4}, "forwarded", id="options"),
        pytest.param({"options": bytes([1]) * 40}, "forwarded", id="as many options as fit"),
        pytest.param({"ttl": 0}, "ttl_expired", id="TTL 0"),
        pytest.param({"ttl": 1}, "ttl_expired", id="TTL 1"),
        pytest.param({"ttl": 2}, "forwarded", id="TTL 2"),
        pytest.param({"ttl": 255}, "forwarded", id="TTL 255"),
    ],
)
def test_an_ipv4_header_is_read_as_the_page_says(fields: dict[str, Any], wanted: str) -> None:
    assert wanted == outcome(web_packet(4, **fields), ethertype=frames.IPV4)


ATOMIC: Final = fragment_header(0, more=False)


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        pytest.param({"version": 4}, "malformed", id="another version"),
        pytest.param({"payload_bytes": 3}, "malformed", id="payload ends inside the ports"),
        pytest.param({"payload_bytes": 0}, "malformed", id="payload length 0 is taken at its word"),
        pytest.param({"payload_bytes": 4}, "forwarded", id="payload ends behind the ports"),
        pytest.param({"payload_bytes": 0xFFFF}, "forwarded", id="payload length past the frame"),
        pytest.param({"hop_limit": 0}, "ttl_expired", id="hop limit 0"),
        pytest.param({"hop_limit": 1}, "ttl_expired", id="hop limit 1"),
        pytest.param({"hop_limit": 2}, "forwarded", id="hop limit 2"),
        pytest.param({"hop_limit": 255}, "forwarded", id="hop limit 255"),
        pytest.param({"extensions": chain(0)}, "forwarded", id="hop-by-hop"),
        pytest.param({"extensions": chain(43)}, "forwarded", id="routing"),
        pytest.param({"extensions": chain(51)}, "forwarded", id="authentication"),
        pytest.param({"extensions": chain(60)}, "forwarded", id="destination options"),
        pytest.param({"extensions": [ATOMIC]}, "forwarded", id="atomic fragment"),
        pytest.param({"extensions": chain(60, 43, 51, 0)}, "forwarded", id="four, in any order"),
        pytest.param({"extensions": [ATOMIC] * 4}, "forwarded", id="four of a kind"),
        pytest.param({"extensions": chain(0, 0, 0, 0, 0)}, "too_many_headers", id="five"),
        pytest.param({"extensions": [ATOMIC] * 5}, "too_many_headers", id="atomic ones count too"),
        pytest.param(
            {"extensions": [*chain(0, 0, 0), fragment_header(1, more=True)]},
            "fragment_dropped",
            id="a fragment header as the fourth ends the walk",
        ),
        pytest.param(
            {"extensions": [*chain(0, 0, 0, 0), fragment_header(1, more=True)]},
            "too_many_headers",
            id="a fragment header as the fifth is not opened",
        ),
        pytest.param(
            {"extensions": [*chain(0, 0, 0, 0), Extension(60, b"")]},
            "too_many_headers",
            id="whether the fifth fits is not asked",
        ),
        pytest.param(
            {"extensions": [extension(AUTHENTICATION, units=3)]},
            "forwarded",
            id="authentication counts in units of four",
        ),
        pytest.param({"extensions": [extension(60, units=5)]}, "forwarded", id="a long header"),
        pytest.param(
            {"extensions": [Extension(60, bytes([255]) + bytes(6))]},
            "malformed",
            id="a length past the end of the packet",
        ),
        pytest.param(
            {"extensions": chain(60), "payload_bytes": 7}, "malformed", id="seven bytes of a header"
        ),
        pytest.param(
            {"extensions": [Extension(44, bytes.fromhex("ff000600000000"))]},
            "forwarded",
            id="reserved bits of a fragment header mean nothing",
        ),
    ],
)
def test_ipv6_headers_are_read_as_the_page_says(fields: dict[str, Any], wanted: str) -> None:
    assert wanted == outcome(web_packet(6, **fields), ethertype=frames.IPV6)


@both_families
def test_a_packet_cut_before_its_ports_is_malformed(version: int) -> None:
    whole = frames.to_balancer(web_packet(version))
    header = 34 if version == 4 else 54

    assert {Outcome.MALFORMED} == {run(whole[:size]).outcome for size in range(14, header + 4)}
    assert {Outcome.FORWARDED} == {
        run(whole[:size]).outcome for size in range(header + 4, len(whole) + 1)
    }


@both_families
def test_padding_is_never_read_as_a_port(version: int) -> None:
    short = packet(version, WHOLE, 6, b"") + frames.tcp(4321, 80)

    assert Outcome.MALFORMED == outcome(short)


@both_families
def test_no_next_header_is_a_protocol_without_ports(version: int) -> None:
    empty = packet(version, ALL, NO_NEXT_HEADER, b"")

    assert Outcome.FORWARDED == outcome(empty)
    assert 0 == flow_of(empty).dst_port


# --- 4. Ports


@both_families
@pytest.mark.parametrize("protocol", [6, 17, 33, 132, 136])
def test_protocols_with_ports_have_them_in_their_first_four_bytes(
    version: int, protocol: int
) -> None:
    flow = flow_of(packet(version, WHOLE, protocol, b"\x10\xe1\x00\x50"))

    assert Flow(CLIENT[version], 4321, vip(version, WHOLE), 80, protocol) == flow


@both_families
@pytest.mark.parametrize("protocol", [GRE, 50, 4, 41, 253])
def test_other_protocols_have_no_ports_and_need_no_bytes(version: int, protocol: int) -> None:
    wanted = Flow(CLIENT[version], 0, vip(version, ALL), 0, protocol)

    assert wanted == flow_of(packet(version, ALL, protocol, b"\x10\xe1\x00\x50"))
    assert wanted == flow_of(packet(version, ALL, protocol, b""))


@both_families
def test_the_icmp_of_the_other_family_is_a_protocol_without_ports(version: int) -> None:
    other = ICMP_OF[10 - version]
    echo = frames.echo(CLIENT[version], vip(version, ALL), kind=frames.ECHO_REQUEST[10 - version])

    assert Flow(CLIENT[version], 0, vip(version, ALL), 0, other) == flow_of(
        packet(version, ALL, other, echo)
    )
    assert Outcome.FORWARDED == outcome(packet(version, ALL, other, echo))


@both_families
def test_the_identifier_of_an_echo_is_the_source_port(version: int) -> None:
    for kind in (frames.ECHO_REQUEST[version], frames.ECHO_REPLY[version]):
        flow = flow_of(icmp_packet(version, ALL, kind, rest=b"\x12\x34\x00\x07"))

        assert Flow(CLIENT[version], 0x1234, vip(version, ALL), 0, ICMP_OF[version]) == flow


@pytest.mark.parametrize(
    ("version", "kind"), [(4, 13), (4, 5), (4, 4), (4, 128), (6, 135), (6, 0), (6, 5), (6, 8)]
)
def test_other_icmp_messages_have_no_ports(version: int, kind: int) -> None:
    flow = flow_of(icmp_packet(version, ALL, kind, rest=b"\x12\x34\x00\x07"))

    assert Flow(CLIENT[version], 0, vip(version, ALL), 0, ICMP_OF[version]) == flow


@both_families
@pytest.mark.parametrize("kind", ["echo", "error", "other"])
def test_an_icmp_header_cut_short_is_malformed(version: int, kind: str) -> None:
    number = {"echo": frames.ECHO_REQUEST[version], "error": ERROR[version], "other": 13}[kind]
    short = frames.icmp(CLIENT[version], vip(version, ALL), number)[:7]

    assert Outcome.MALFORMED == outcome(packet(version, ALL, ICMP_OF[version], short))
