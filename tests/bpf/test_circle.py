"""Law 17: a packet ends, also between balancers that name each other as servers."""

from __future__ import annotations

import dataclasses

import pytest

from remainder.outcome import Outcome
from tests import frames
from tests.bpf.kernel import kernel
from tests.segment import NODE, PLAN, web_packet

pytestmark = pytest.mark.bpf

OTHER = frames.mac(0xB)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("ttl", [1, 2, 64, 255])
def test_two_balancers_that_name_each_other_pass_a_packet_round_until_its_ttl_is_spent(
    version: int, ttl: int
) -> None:
    here = dataclasses.replace(NODE, macs=dict.fromkeys(NODE.macs, OTHER))
    there = dataclasses.replace(NODE, mac=OTHER, macs=dict.fromkeys(NODE.macs, NODE.mac))
    field = "ttl" if version == 4 else "hop_limit"
    frame = frames.to_balancer(web_packet(version, **{field: ttl}))
    forwardings = 0
    with kernel(PLAN, here) as one, kernel(PLAN, there) as other:
        result = one.process(frame)
        while result.outcome is Outcome.FORWARDED:
            forwardings += 1
            result = (other if forwardings % 2 else one).process(result.frame or b"")

    assert Outcome.TTL_EXPIRED is result.outcome
    assert ttl - 1 == forwardings
