"""Frames that are built for asking are frames that the world understands."""

from __future__ import annotations

from hypothesis import given
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import Ether

from remainder.flow import Flow
from remainder.reference import read_flow
from remainder.reference.frame import frame_of, internet_checksum
from tests.strategies import flows

MACS = {"source_mac": b"\x02" * 6, "destination_mac": b"\x04" * 6}


@given(flows())
def test_the_reference_reads_the_flow_back(flow: Flow) -> None:
    """What was written is what is read, wherever the protocol has a place for it."""
    actual = read_flow(frame_of(flow, **MACS))

    assert actual is not None
    assert (flow.src_ip, flow.dst_ip, flow.protocol) == (
        actual.src_ip,
        actual.dst_ip,
        actual.protocol,
    )
    if actual.dst_port:
        assert flow == actual


@given(flows())
def test_checksums_are_those_of_scapy(flow: Flow) -> None:
    """Built again by another hand, every byte of the packet is the same."""
    frame = frame_of(flow, **MACS)
    again = Ether(frame)
    for layer in (IP, TCP, UDP):
        if layer in again:
            del again[layer].chksum
    if ICMPv6EchoRequest in again and IPv6 in again:
        del again[ICMPv6EchoRequest].cksum

    assert frame == bytes(again)


def test_the_checksum_of_rfc_1071() -> None:
    """The example of the RFC: the sum is ddf2, the checksum its complement."""
    assert 0xFFFF - 0xDDF2 == internet_checksum(bytes.fromhex("0001f203f4f5f6f7"))
