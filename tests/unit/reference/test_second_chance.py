"""Every way ends, whatever the files say; with equal files no server is visited twice."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remainder.choice import Owner
from remainder.config import MAX_EARLIER, Config, EarlierServers
from remainder.fleet import server_plan
from remainder.flow import Address, Flow
from remainder.outcome import Outcome
from remainder.plan import make_plan
from remainder.reference import Knowledge, Node, Sockets, process
from remainder.reference.second_chance import LEGS, Leg, Passed, chance
from tests import frames as build
from tests.chances import PORT, Told, changed_services, frame_of, unknown
from tests.fleets import SUM3, changing, servers
from tests.recipes import SERVERS, VIPS

MACS: Final[dict[Address, bytes]] = {
    address: build.mac(0x200 + 16 * version + number)
    for version in (4, 6)
    for number, address in enumerate(SERVERS[version])
}
NAMES: Final = [f"s{number}" for number in range(6)]
LISTENING: Final = Sockets(listening=frozenset((VIPS[version][0], PORT) for version in (4, 6)))
SECRET: Final = "00" * 16
TTL_OF: Final = {leg: ttl for ttl, leg in LEGS.items()}
ENDLESS: Final = 300

A, B, C = (Owner(name, 1, ip_address("192.0.2.1")) for name in "abc")


@pytest.mark.parametrize(
    ("way", "knowledge", "outcome", "passed_to"),
    [
        ([A], Knowledge.UNKNOWN, Outcome.KEPT, None),
        ([B, C], Knowledge.UNKNOWN, Outcome.KEPT, None),
        ([A, B], Knowledge.NONE, Outcome.KEPT, None),
        ([A, B], Knowledge.NEW, Outcome.KEPT_NEW, None),
        ([B, A], Knowledge.NEW, Outcome.KEPT_NEW, None),
        ([A, B], Knowledge.KNOWN, Outcome.KEPT_KNOWN, None),
        ([B, A], Knowledge.KNOWN, Outcome.KEPT_EARLIER, None),
        ([A, B], Knowledge.BLIND, Outcome.KEPT_BLIND, None),
        ([A, B, C], Knowledge.UNKNOWN, Outcome.PASSED_ON, B),
        ([B, A, C], Knowledge.UNKNOWN, Outcome.PASSED_ON, C),
        ([B, C, A], Knowledge.UNKNOWN, Outcome.KEPT_UNKNOWN, None),
    ],
)
def test_who_stands_on_a_way_keeps_a_packet_or_passes_it_to_the_next(
    way: list[Owner], knowledge: Knowledge, outcome: Outcome, passed_to: Owner | None
) -> None:
    """As it goes when all nodes have the same file: by the newest calculation first."""
    length = len(way) - 1
    at = next((at for at, owner in enumerate(way) if owner is A), 0)
    ttl = TTL_OF[Leg(length, length - at)] if at else 61
    passed = passed_to and Passed(passed_to, TTL_OF[Leg(length, length - at - 1)])

    assert (outcome, passed) == chance(way, "a", knowledge, ttl=ttl)


@pytest.mark.parametrize(
    ("owners", "ttl", "passed"),
    [
        ([A, B, B], 61, (B, Leg(2, 1))),
        ([B, A, C], 61, (C, Leg(1, 0, halfway=True))),
        ([B, A, B], 61, (B, Leg(1, 0, halfway=True))),
        ([B, A, C, A], 61, (C, Leg(2, 1, halfway=True))),
        ([B, C, A], 61, (B, Leg(2, 2))),
        ([B, C, A], Leg(1, 0, halfway=True), (B, Leg(2, 2))),
        ([A, B, C], Leg(2, 2), (B, Leg(2, 1))),
        ([B, A, C, B], Leg(3, 2), (C, Leg(3, 1))),
        ([B, C, A, B], Leg(3, 1), None),
        ([B, C, A, B], Leg(2, 1), (B, Leg(2, 0))),
        ([B, A, C], Leg(4, 4), (C, Leg(4, 0))),
    ],
)
def test_a_ttl_says_by_which_calculations_a_packet_goes(
    owners: list[Owner], ttl: int | Leg, passed: tuple[Owner, Leg] | None
) -> None:
    """From a balancer with an older file: down, then the whole way; from a server, on its way."""
    if isinstance(ttl, Leg):
        ttl = TTL_OF[ttl]
    expected = passed and Passed(passed[0], TTL_OF[passed[1]])

    assert expected == chance(owners, "a", Knowledge.UNKNOWN, ttl=ttl)[1]


def test_a_ttl_only_goes_down() -> None:
    """Along a way, and from one that began halfway to the whole."""
    assert list(range(1, 21)) == sorted(TTL_OF.values())
    for leg, ttl in TTL_OF.items():
        assert all(TTL_OF[replace(leg, left=left)] < ttl for left in range(leg.left))
        assert not leg.halfway or all(TTL_OF[Leg(length, length)] < ttl for length in range(1, 5))


def services(data: st.DataObject, version: int) -> Config:
    return Config(service=[data.draw(changed_services(version))], secret=SECRET)


def flow_of(version: int) -> Flow:
    return unknown(Told("unknown", 0, version, PORT))


def visits(files: dict[str, Config], flow: Flow, ttl: int, first: str) -> list[str]:
    """Which servers a packet comes to whose session nobody knows, one after the other."""
    frame = frame_of(Told("unknown", 0, flow.version, PORT, ttl=ttl), flow, 0)
    plans = {name: server_plan(config, name) for name, config in files.items()}
    at, visited = first, [first]
    while len(visited) < ENDLESS:
        result = process(plans[at], Node(mac=frame[:6], macs=MACS, sockets=LISTENING), frame)
        if result.outcome is not Outcome.PASSED_ON or result.frame is None:
            break
        frame = result.frame
        at = next(
            name
            for number, name in enumerate(NAMES)
            if MACS[SERVERS[flow.version][number]] == frame[:6]
        )
        visited.append(at)
    return visited


@given(st.data())
def test_a_packet_visits_no_more_than_ten_servers(
    data: st.DataObject,
) -> None:
    """Each node has a file of its own; the TTL ends what no agreement does."""
    version = data.draw(st.sampled_from([4, 6]))
    files = {name: services(data, version) for name in NAMES}
    ttl = data.draw(st.sampled_from([1, 2, 3, 64, 255]))
    visited = visits(files, flow_of(version), ttl, data.draw(st.sampled_from(NAMES)))

    assert len(visited) <= min(2 * MAX_EARLIER + 2, max(ttl, 1))


@given(st.data())
def test_with_equal_files_a_packet_visits_the_servers_of_its_way_each_once(
    data: st.DataObject,
) -> None:
    version = data.draw(st.sampled_from([4, 6]))
    config = services(data, version)
    plan = make_plan(config)
    way = [owner.name for owner in plan.choices[0].way(flow_of(version), plan.secret)]

    assert way == visits(dict.fromkeys(NAMES, config), flow_of(version), 64, way[0])


def test_two_servers_that_take_each_other_for_the_earlier_one_make_no_circle() -> None:
    """What two files that contradict each other would do without the rule for the TTL."""
    files = {
        name: Config(service=[changing(servers=servers(name), before=[_only(other)])])
        for name, other in (("s1", "s2"), ("s2", "s1"))
    }
    frame = frame_of(Told("unknown", 0, 4, PORT), flow_of(4), 0)
    first = process(server_plan(files["s1"], "s1"), _listening(frame), frame)
    assert first.frame is not None
    second = process(server_plan(files["s2"], "s2"), _listening(first.frame), first.frame)

    assert (Outcome.PASSED_ON, "s2") == (first.outcome, first.owner)
    assert Outcome.KEPT_UNKNOWN == second.outcome


def _only(name: str) -> EarlierServers:
    return EarlierServers(key=SUM3, table="modulo", servers=servers(name))


def _listening(frame: bytes) -> Node:
    macs = {f"192.0.2.{number}": f"02:00:00:00:00:{number}" for number in (11, 12)}
    return Node(mac=frame[:6], macs=macs, sockets=LISTENING)


@given(st.data())
def test_a_balancer_with_an_older_file_reaches_every_server_of_the_way(
    data: st.DataObject,
) -> None:
    """Whichever of the calculations it has: nobody who may know the session is left out."""
    version = data.draw(st.sampled_from([4, 6]))
    config = services(data, version)
    plan = make_plan(config)
    way = [owner.name for owner in plan.choices[0].way(flow_of(version), plan.secret)]
    sent_to = data.draw(st.sampled_from(way))
    visited = visits(dict.fromkeys(NAMES, config), flow_of(version), 64, sent_to)

    assert set(way) == set(visited)
