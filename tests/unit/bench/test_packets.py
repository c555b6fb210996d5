"""The packets that are timed: right to the byte, and their client is where the template says."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scapy.layers.inet import IP
from scapy.layers.l2 import Ether

from remainder.errors import ConfigError
from remainder.flow import Flow
from remainder.reference import read_flow
from remainder_bench.packets import CLIENT, PACKETS, STRANGER, template_of, vlan_of
from tests.frames import ARP, ethernet

FLOWS = {version: Flow(CLIENT[version], 1024, STRANGER[version], 80, 6) for version in (4, 6)}


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("kind", PACKETS)
def test_a_packet_is_of_the_flow_it_was_made_for(kind: str, version: int) -> None:
    """An ICMP error is of the flow it quotes."""
    frame = PACKETS[kind](FLOWS[version])

    assert FLOWS[version] == read_flow(frame, vlan_of(frame))


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("kind", PACKETS)
def test_writing_at_the_places_of_the_template_makes_another_flow(kind: str, version: int) -> None:
    template = template_of(PACKETS[kind](FLOWS[version]))
    wide = 8 if version == 6 else 4
    frame = bytearray(template.frame)
    frame[template.source_at + wide - 4 : template.source_at + wide] = b"\xc6\x12\x01\x02"
    port_at = template.ports_at + (0 if template.client_first else 2)
    frame[port_at : port_at + 2] = (4321).to_bytes(2, "big")
    flow = read_flow(bytes(frame), vlan_of(bytes(frame)))

    assert flow is not None
    assert int.from_bytes(b"\xc6\x12\x01\x02", "big") == int(flow.src_ip) & 0xFFFF_FFFF
    assert (4321, 80) == (flow.src_port, flow.dst_port)


@pytest.mark.parametrize("kind", PACKETS)
def test_another_vip_is_written_wherever_it_stands(kind: str) -> None:
    """An ICMP error has it twice: else it would quote a packet that the VIP did not send."""
    template = template_of(PACKETS[kind](FLOWS[4]))
    frame = bytearray(template.frame)
    for at in (template.vip_at, template.vip_again_at):
        frame[at : at + 4] = b"\xcb\x00\x71\x09"

    flow = read_flow(bytes(frame), vlan_of(bytes(frame)))

    assert flow is not None
    assert "203.0.113.9" == str(flow.dst_ip)


@pytest.mark.parametrize("kind", PACKETS)
def test_header_checksums_are_right(kind: str) -> None:
    frame = PACKETS[kind](FLOWS[4])
    packet = Ether(frame)
    said = packet[IP].chksum
    del packet[IP].chksum

    assert Ether(bytes(packet))[IP].chksum == said


@pytest.mark.parametrize("packet", [PACKETS["ack"], PACKETS["syn"]])
def test_acks_and_syns_have_their_flags(packet: Callable[[Flow], bytes]) -> None:
    flags = {PACKETS["ack"]: "A", PACKETS["syn"]: "S"}

    assert flags[packet] == str(Ether(packet(FLOWS[4]))["TCP"].flags)


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (ethernet(bytes(6), bytes(6), ethertype=ARP, payload=bytes(46)), "not IP"),
        (PACKETS["ack"](FLOWS[4])[:30], "before its IP header"),
        (PACKETS["ack"](FLOWS[4])[:35], "first 128 bytes"),
        (PACKETS["ack"](Flow(CLIENT[4], 0, STRANGER[4], 0, 47)), "no ports"),
    ],
)
def test_other_frames_cannot_be_timed(frame: bytes, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        template_of(frame)
