"""Tiers that choose alike are named, with what each machine of the first then reaches."""

from __future__ import annotations

from typing import Any, Final

import pytest

from remainder.config import Config, Member, Router, Server
from remainder.fleet import member_plan, tiers_of
from remainder.flow import Flow
from remainder.lint.tiers import Polarisation, polarisations
from remainder.plan import make_plan
from tests.fleets import SUM3, cluster, fleet, return_path, service

SUM5 = "src_ip + src_port + dst_ip + dst_port + protocol"
HASH = "hash(src_ip, src_port)"


def named(config: Config) -> list[Polarisation]:
    return polarisations(config, tiers_of(config))


def members(count: int, *, weight: int = 1) -> list[Member]:
    return [
        Member(name=f"r{number}", interface="eth0", weight=weight if number == 1 else 1)
        for number in range(1, count + 1)
    ]


def servers(count: int) -> list[Server]:
    return [
        Server(name=f"s{number}", address=f"192.0.2.{100 + number}")
        for number in range(1, count + 1)
    ]


def two(routers: dict[str, Any], web: dict[str, Any]) -> Config:
    return fleet(service=[service(**web)], cluster=[cluster(**routers)], return_path=[])


def reached(config: Config) -> dict[str, set[str]]:
    """By trial: which servers packets reach, by the router that they come through."""
    first, second = member_plan(config, config.cluster), make_plan(config)
    found: dict[str, set[str]] = {}
    for client in range(400):
        source = f"198.51.{client // 250}.{client % 250}"
        flow = Flow(source, 40_000 + client**2 % 97, "203.0.113.10", 80, 6)
        server, router = second.where(flow).owner, first.where(flow).owner
        assert server is not None
        assert router is not None
        found.setdefault(router, set()).add(server)
    return found


POLARISED: Final[dict[str, tuple[dict[str, Any], dict[str, Any]]]] = {
    "the same numbers": ({"key": SUM3}, {"key": SUM3, "servers": servers(3)}),
    "a common divisor": ({"members": members(4)}, {"servers": servers(6)}),
    "fields that are the same in all packets": (
        {"key": "src_ip + src_port", "members": members(2)},
        {"key": SUM5, "servers": servers(4)},
    ),
    "weights": ({"members": members(3, weight=2)}, {"servers": servers(2)}),
    "a table with as few slots": (
        {"members": members(2)},
        {"table": "maglev", "slots": 2, "servers": servers(2)},
    ),
}


@pytest.mark.parametrize("name", POLARISED)
def test_what_a_machine_of_the_first_tier_reaches_is_as_we_say(name: str) -> None:
    config = two(*POLARISED[name])
    (found,) = named(config)
    tried = reached(config)

    assert len(tried[found.owner]) == found.reached
    assert min(map(len, tried.values())) == found.reached
    assert found.reached < found.of == len(set.union(*tried.values()))


INDEPENDENT: Final[dict[str, tuple[dict[str, Any], dict[str, Any]]]] = {
    "no common divisor": ({"members": members(3)}, {"servers": servers(2)}),
    "another key": ({"key": SUM5, "members": members(2)}, {"servers": servers(2)}),
    "a hash in one": ({"key": HASH, "members": members(2)}, {"servers": servers(2)}),
    "a hash in both": (
        {"key": HASH, "members": members(2)},
        {"key": HASH, "servers": servers(2)},
    ),
    "a table with many slots": (
        {"members": members(2), "table": "maglev"},
        {"servers": servers(2), "table": "maglev"},
    ),
}


@pytest.mark.parametrize("name", INDEPENDENT)
def test_tiers_that_are_independent_are_left_alone(name: str) -> None:
    config = two(*INDEPENDENT[name])
    tried = reached(config)

    assert [] == named(config)
    assert {len(set.union(*tried.values()))} == {len(owners) for owners in tried.values()}


def test_two_clusters_share_a_salt_so_a_hash_does_not_part_them() -> None:
    config = fleet(
        cluster=[
            cluster(key=HASH, members=members(2)),
            cluster(
                name="proxies",
                address="203.0.113.20",
                key=HASH,
                members=[Member(name=f"p{number}", interface="eth0") for number in (1, 2)],
            ),
        ],
        return_path=[],
    )
    (found,) = named(config)

    assert ("cluster 'routers'", "cluster 'proxies'") == (found.first, found.second)
    assert (1, 2) == (found.reached, found.of)


def test_clusters_for_different_addresses_never_meet_a_packet_in_a_row() -> None:
    config = fleet(
        cluster=[
            cluster(address=f"203.0.113.{20 + number}", name=f"c{number}", members=members(2))
            for number in range(2)
        ],
        return_path=[],
    )

    assert [] == named(config)


def test_the_way_back_through_a_cluster_must_choose_as_the_cluster_does() -> None:
    """One cause, one warning."""
    alike = fleet(cluster=[cluster(members=members(2))], return_path=[return_path()])
    alone = fleet(
        cluster=[],
        return_path=[
            return_path(routers=[Router(name=f"x{n}", address=f"192.0.2.{n}") for n in (1, 2)])
        ],
    )

    assert ["cluster 'routers'"] == [found.first for found in named(alike)]
    assert ["return_path 'back'"] == [found.first for found in named(alone)]


def test_the_sentence_names_both_sections_and_says_what_to_change() -> None:
    found = Polarisation(
        first="cluster 'routers'", second="service 'web'", owner="r1", reached=2, of=6,
        owners="servers", divisor=3, slots=(3, 6),
    )  # fmt: skip

    assert (
        "cluster 'routers' and service 'web' choose by the same key, and their slots (3 and 6) "
        "have the common divisor 3, so packets through 'r1' reach only 2 of 6 servers; use "
        "another key, a hash, or numbers of slots without a common divisor in one of them"
    ) == found.sentence
