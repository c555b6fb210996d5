"""On a wire: nothing is lost, and ours is far ahead of what keeps sessions."""

from __future__ import annotations

import shutil

import pytest

from remainder.bench import wire

pytestmark = [pytest.mark.root, pytest.mark.bpf, pytest.mark.slow]

FIRST, OURS, GENERIC = "XDP, only return", "remainder, sum", "remainder, sum, generic XDP"
CONNTRACK = "nftables, DNAT with conntrack"
ROUNDS = 3


def test_ours_is_near_doing_nothing_and_far_from_conntrack() -> None:
    """Measured: 0.95 of a program that only returns, 8 times DNAT with conntrack."""
    names = [FIRST, OURS, GENERIC, *([CONNTRACK] if shutil.which("nft") else [])]
    speeds = {speed.name: speed for speed in wire.measure(names, rounds=ROUNDS)}

    assert dict.fromkeys(names, 0) == {name: speed.lost for name, speed in speeds.items()}
    assert speeds[OURS].mpps > 0.6 * speeds[FIRST].mpps
    assert speeds[OURS].mpps > speeds[GENERIC].mpps
    if CONNTRACK in speeds:
        assert speeds[OURS].mpps > 3 * speeds[CONNTRACK].mpps
