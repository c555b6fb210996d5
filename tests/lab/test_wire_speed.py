"""On a wire: nothing is lost, and ours is far ahead of what keeps sessions."""

from __future__ import annotations

import pytest

from remainder_bench import connections, wire
from remainder_bench.wire_report import Connections
from remainder_lab import tools

pytestmark = [pytest.mark.root, pytest.mark.bpf, pytest.mark.slow]

FIRST, OURS, GENERIC = "XDP, only return", "remainder, sum", "remainder, sum, generic XDP"
CONNTRACK, NETDEV = "nftables, DNAT with conntrack", "nftables, netdev, to MAC addresses"
DIRECT, HAPROXY = "no balancer", "HAProxy, TCP mode"
ROUNDS = 3


def test_ours_is_near_doing_nothing_and_far_from_conntrack() -> None:
    """Measured: 0.95 of a program that only returns, 8 times DNAT with conntrack."""
    names = [FIRST, OURS, GENERIC, *([CONNTRACK] if tools.path_of("nft") else [])]
    speeds = {speed.name: speed for speed in wire.measure(names, rounds=ROUNDS)}

    assert dict.fromkeys(names, 0) == {name: speed.lost for name, speed in speeds.items()}
    assert speeds[OURS].mpps > 0.6 * speeds[FIRST].mpps
    assert speeds[OURS].mpps > speeds[GENERIC].mpps
    if CONNTRACK in speeds:
        assert speeds[OURS].mpps > 3 * speeds[CONNTRACK].mpps


@pytest.fixture(scope="module")
def connected() -> dict[str, Connections]:
    """Every way that this machine knows."""
    names = connections.available()
    if not tools.path_of("nft"):
        names = [name for name in names if name not in (NETDEV, CONNTRACK)]
    return {item.name: item for item in connections.measure(names, rounds=ROUNDS)}


def test_every_connection_is_answered(connected: dict[str, Connections]) -> None:
    assert dict.fromkeys(connected, 0) == {name: item.failed for name, item in connected.items()}


def test_the_balancer_sees_half_of_a_connection_unless_its_method_needs_all(
    connected: dict[str, Connections],
) -> None:
    """Measured: 5 packets of 10."""
    packets = {name: item.packets for name, item in connected.items()}

    assert packets[DIRECT] < 1
    for name in {OURS, GENERIC, NETDEV} & set(packets):
        assert 3 < packets[name] < 7
    for name in {CONNTRACK, HAPROXY} & set(packets):
        assert packets[name] > 7


def test_ours_is_far_from_haproxy(connected: dict[str, Connections]) -> None:
    """Measured: 1.7 times the connections, a twelfth of the time beyond one without a balancer."""
    if HAPROXY not in connected:
        pytest.skip("haproxy is not installed; apt install haproxy")

    ours, generic, haproxy = (min(connected[name].us) for name in (OURS, GENERIC, HAPROXY))

    # The fastest round of each, since whatever else runs can only slow one down.
    assert haproxy > 1.2 * generic
    assert haproxy > 1.1 * ours
