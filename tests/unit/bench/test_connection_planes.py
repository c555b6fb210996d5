"""The ways from a client to a server: the same servers in all, and rows that meet those of wire."""

from __future__ import annotations

from remainder_bench import connection_planes, wire
from remainder_bench.connection_planes import PLANES, SERVERS, VIP


def test_the_first_way_is_without_a_balancer() -> None:
    assert "no balancer" == next(iter(PLANES))
    assert [False] + [True] * (len(PLANES) - 1) == [plane.balanced for plane in PLANES.values()]


def test_what_both_measures_know_has_the_same_name_in_both() -> None:
    assert {
        "remainder, sum",
        "remainder, sum, generic XDP",
        "nftables, netdev, to MAC addresses",
        "nftables, DNAT with conntrack",
    } == set(PLANES) & set(wire.PLANES)


def test_ours_and_haproxy_have_the_same_servers() -> None:
    (planned,) = connection_planes.plan().choices
    config = connection_planes.haproxy_cfg()

    assert [*SERVERS] == [str(owner.address) for owner in planned.owners]
    assert [f"server s{at} {address}:80" for at, address in enumerate(SERVERS, 1)] == [
        line.strip() for line in config.splitlines() if line.strip().startswith("server ")
    ]
    assert f"bind {VIP}:80" in config
    assert "nbthread 1" in config
