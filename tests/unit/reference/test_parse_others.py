"""What scapy builds, which knows nothing of this, and what our own frames say: read right."""

from __future__ import annotations

import dataclasses
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP
from scapy.layers.inet6 import (
    ICMPv6EchoReply,
    ICMPv6PacketTooBig,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
)
from scapy.layers.l2 import Dot1Q, Ether
from scapy.layers.sctp import SCTP

from remainder.flow import Flow
from remainder.reference import read_flow
from tests import frames, strategies
from tests.frames import (
    ICMP_OF,
)
from tests.segment import (
    CLIENT,
    ERROR,
    WEB,
    vip,
)

SCAPY: Final = [
    pytest.param(
        IP(src="198.51.100.7", dst="203.0.113.10") / TCP(sport=4321, dport=80),
        Flow(CLIENT[4], 4321, vip(4, WEB), 80, 6),
        id="TCP",
    ),
    pytest.param(
        IP(src="198.51.100.7", dst="203.0.113.10", options=[IPOption_NOP()] * 3)
        / UDP(sport=4321, dport=53),
        Flow(CLIENT[4], 4321, vip(4, WEB), 53, 17),
        id="UDP behind options",
    ),
    pytest.param(
        IP(src="198.51.100.7", dst="203.0.113.10") / SCTP(sport=4321, dport=53),
        Flow(CLIENT[4], 4321, vip(4, WEB), 53, 132),
        id="SCTP",
    ),
    pytest.param(
        IP(src="198.51.100.7", dst="203.0.113.10", frag=3) / (b"x" * 24),
        Flow(CLIENT[4], 0, vip(4, WEB), 0, 0),
        id="fragment",
    ),
    pytest.param(
        IP(src="192.0.2.254", dst="203.0.113.10")
        / ICMP(type=3, code=4)
        / IP(src="203.0.113.10", dst="198.51.100.7")
        / TCP(sport=80, dport=4321),
        Flow(CLIENT[4], 4321, vip(4, WEB), 80, 6),
        id="fragmentation needed",
    ),
    pytest.param(
        IPv6(src="2001:db8:2::7", dst="2001:db8::10")
        / IPv6ExtHdrHopByHop()
        / IPv6ExtHdrDestOpt()
        / TCP(sport=4321, dport=80),
        Flow(CLIENT[6], 4321, vip(6, WEB), 80, 6),
        id="TCP behind two extension headers",
    ),
    pytest.param(
        IPv6(src="2001:db8:2::7", dst="2001:db8::10")
        / IPv6ExtHdrFragment(offset=3, m=1, nh=17)
        / (b"x" * 24),
        Flow(CLIENT[6], 0, vip(6, WEB), 0, 17),
        id="fragment of IPv6",
    ),
    pytest.param(
        IPv6(src="2001:db8:2::7", dst="2001:db8::10") / ICMPv6EchoReply(id=0x1234),
        Flow(CLIENT[6], 0x1234, vip(6, WEB), 0, 58),
        id="echo reply of IPv6",
    ),
    pytest.param(
        IPv6(src="2001:db8:9::1", dst="2001:db8::10")
        / ICMPv6PacketTooBig()
        / IPv6(src="2001:db8::10", dst="2001:db8:2::7")
        / UDP(sport=53, dport=4321),
        Flow(CLIENT[6], 4321, vip(6, WEB), 53, 17),
        id="packet too big",
    ),
]


@pytest.mark.parametrize(("layers", "flow"), SCAPY)
def test_frames_that_scapy_builds_are_read_right(layers: IP | IPv6, flow: Flow) -> None:
    frame = Ether(dst="02:00:00:00:00:01", src="02:00:00:00:00:02")
    tagged = frame / Dot1Q(vlan=5, prio=7)

    assert flow == read_flow(bytes(frame / layers))
    assert flow == read_flow(bytes(tagged / layers), vlan=5)
    assert None is read_flow(bytes(tagged / layers))
    assert None is read_flow(bytes(tagged / Dot1Q(vlan=5) / layers), vlan=5)


# --- there and back


@given(strategies.flows(), st.binary(max_size=40))
def test_a_flow_is_read_back_from_its_packet_and_from_an_error_about_the_answer(
    flow: Flow, payload: bytes
) -> None:
    source = CLIENT[flow.version]
    is_echo = flow.protocol == ICMP_OF[flow.version]
    answer = dataclasses.replace(flow.reversed(), src_port=flow.src_port, dst_port=0)
    quoted = frames.packet_of(answer if is_echo else flow.reversed(), payload)
    message = frames.icmp(source, flow.dst_ip, ERROR[flow.version], payload=quoted)

    assert flow == read_flow(frames.frame_of(flow, payload))
    assert flow == read_flow(frames.to_balancer(frames.ip_icmp(source, flow.dst_ip, message)))
