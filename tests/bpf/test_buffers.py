"""Jumbo frames fill several buffers; the program sees the first one and counts all of them."""

from __future__ import annotations

import pytest

from remainder.kernel.abi import Feature
from remainder.outcome import Outcome
from remainder.reference import process
from tests import frames
from tests.bpf.kernel import kernel
from tests.segment import NODE, PLAN, web_packet

pytestmark = pytest.mark.bpf

SIZES = (1_514, 3_400, 4_096, 9_014, 16_000)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("size", SIZES)
def test_a_jumbo_frame_is_forwarded_and_counted_whole(version: int, size: int) -> None:
    frame = frames.to_balancer(web_packet(version)).ljust(size, b"\xa5")
    with kernel(PLAN, NODE, more=Feature.BUFFERS) as running:
        expected, actual = process(PLAN, NODE, frame), running.process(frame)

    assert Outcome.FORWARDED is actual.outcome
    assert expected == actual
