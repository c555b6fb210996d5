"""Frames longer than an IP header can say: docs/packets.md, sections 2 and 3."""

from __future__ import annotations

import pytest

from remainder.reference import read_flow
from remainder.reference.parse import JUMBO_BYTES
from tests import frames
from tests.segment import CLIENT, WEB, both_families, reply, vip

PORTS = (80, 4321)
FIRST = {4: 14 + 20 + 20, 6: 14 + 40 + 20}
"""Bytes of the headers that go before the data."""


def frame_of(version: int, length: int, *, said: int = 0) -> bytes:
    """A frame of so many bytes whose header says another length."""
    segment = frames.tcp(*PORTS, bytes(length - FIRST[version]))
    field = "total_bytes" if version == 4 else "payload_bytes"
    return frames.to_balancer(reply(version, WEB, 6, segment, **{field: said}))


@both_families
def test_a_length_of_0_stands_for_the_rest_of_a_frame_that_is_longer_than_any(
    version: int,
) -> None:
    flow = read_flow(frame_of(version, JUMBO_BYTES[version] + 1))

    assert flow is not None
    assert PORTS == (flow.src_port, flow.dst_port)
    assert (vip(version, WEB), CLIENT[version]) == (flow.src_ip, flow.dst_ip)


@both_families
@pytest.mark.parametrize("shorter", [0, 1, 60_000])
def test_in_any_other_frame_a_length_of_0_is_one_of_no_bytes(version: int, shorter: int) -> None:
    assert read_flow(frame_of(version, JUMBO_BYTES[version] - shorter)) is None


def test_the_first_frame_that_is_too_long_is_one_byte_longer_than_the_field_can_say() -> None:
    """IPv4 counts its header, IPv6 does not."""
    assert {4: 14 + 65_535, 6: 14 + 40 + 65_535} == JUMBO_BYTES
