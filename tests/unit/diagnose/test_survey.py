"""What is wrong with a segment is named, with MAC and cure; what is right is left alone."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from remainder.diagnose.problems import Problem, problems_of, silent
from remainder.diagnose.survey import survey
from tests.unit.diagnose.segment import GATEWAY_MAC, VIPS, Lan, Machine, lan, mac, of

VERSIONS = pytest.mark.parametrize("version", [4, 6])
PREFIX = {4: 32, 6: 128}
QUESTION = {4: "ARP", 6: "neighbour discovery"}


def problems(where: Lan, *, filters_sources: bool = False, lost: int = 0) -> list[Problem]:
    wire = where.wire(filters_sources=filters_sources, lost=lost)
    found = survey(wire, where.part, where.place, foreign=True)
    return [*silent(where.part, found), *problems_of(where.part, where.place, found)]


def ids(found: list[Problem]) -> list[str]:
    return [problem.id for problem in found]


@VERSIONS
def test_a_segment_where_all_is_right_is_left_alone(version: int) -> None:
    assert [] == problems(lan(version=version))


@VERSIONS
@pytest.mark.parametrize("lost", range(1, 9))
def test_a_few_lost_frames_are_no_problem(version: int, lost: int) -> None:
    assert [] == problems(lan(version=version), lost=lost)


@VERSIONS
def test_a_dead_server_is_named_and_not_blamed_for_its_vip(version: int) -> None:
    where = lan(version=version)
    del where.machines[1]
    (found,) = problems(where)

    assert "server-silent" == found.id
    assert found.sentence.startswith("server 's1' (")
    assert found.sentence.endswith(f"does not answer {QUESTION[version]}")


@VERSIONS
def test_a_server_without_the_vip_is_told_how_to_get_it(version: int) -> None:
    where = lan(version=version)
    where.machines[2].holds = frozenset()
    (found,) = problems(where)

    assert "server-lacks-vip" == found.id
    assert "server 's2' of service 'web'" in found.sentence
    assert f"`ip addr add {VIPS[version]}/{PREFIX[version]} dev lo`" in found.sentence


@VERSIONS
def test_a_server_that_sends_the_vip_on_is_named_with_its_mac(version: int) -> None:
    """Through a router it would come back here, and our own program would answer."""
    where = lan(version=version)
    where.machines[1].holds, where.machines[1].forwards = frozenset(), True
    (found,) = problems(where)

    assert "server-forwards-vip" == found.id
    assert mac(1).hex(":") in found.sentence
    assert ("ip_forward=0" if version == 4 else "forwarding=0") in found.sentence


@VERSIONS
def test_a_ping_ends_at_the_first_machine(version: int) -> None:
    """With one hop left nobody can pass it on to our own program."""
    where = lan(version=version)
    wire = where.wire()
    survey(wire, where.part, where.place, foreign=True)
    at = {4: 22, 6: 21}[version]
    kind = {4: (23, 1), 6: (20, 58)}[version]
    pings = [frame for frame in wire.sent if not frame[0] & 1 and frame[kind[0]] == kind[1]]

    assert pings
    assert {1} == {frame[at] for frame in pings}


@VERSIONS
def test_a_server_at_the_mac_of_the_gateway_is_named(version: int) -> None:
    """Proxy ARP: the gateway answers for a server that is gone."""
    where = lan(version=version)
    gateway, gone = where.machines[0], where.machines.pop(1)
    gateway.answers |= gone.answers
    (found,) = problems(where)

    assert "server-is-gateway" == found.id
    assert GATEWAY_MAC.hex(":") in found.sentence


@VERSIONS
def test_a_gateway_that_serves_is_a_server(version: int) -> None:
    where = lan(version=version)
    gateway, gone = where.machines[0], where.machines.pop(1)
    gateway.answers |= gone.answers
    gateway.holds = of(VIPS[version])

    assert [] == problems(where)


@VERSIONS
def test_a_server_that_answers_for_the_vip_is_named_with_mac_and_cure(version: int) -> None:
    where = lan(version=version)
    where.machines[2].answers |= of(VIPS[version])
    (found,) = problems(where)

    assert "vip-taken" == found.id
    assert found.sentence.startswith("server 's2' (")
    assert f"answers {QUESTION[version]} for {VIPS[version]}" in found.sentence
    assert mac(2).hex(":") in found.sentence
    if version == 4:
        assert "arp_ignore=1 net.ipv4.conf.all.arp_announce=2" in found.sentence


@VERSIONS
def test_a_stranger_that_answers_for_the_vip_is_named_with_its_mac(version: int) -> None:
    where = lan(version=version)
    where.machines.append(Machine(mac(99), of(VIPS[version])))
    (found,) = problems(where)

    assert "vip-taken" == found.id
    assert f"a machine at {mac(99).hex(':')}, no server of the file," in found.sentence


def test_a_gateway_that_answers_for_the_vip_is_named_as_one() -> None:
    where = lan()
    where.machines[0].answers |= of(VIPS[4])
    (found,) = problems(where)

    assert f"the gateway 192.0.2.1 ({GATEWAY_MAC.hex(':')}) answers ARP" in found.sentence


def test_another_balancer_may_answer_for_the_vip_and_a_server_may_not() -> None:
    where = lan(balancers=2)
    where.machines.append(Machine(mac(99), of(VIPS[4])))
    other = problems(where)
    where.machines.append(Machine(mac(98), of(VIPS[4])))
    both = problems(where)
    where.machines[1].answers |= of(VIPS[4])
    server = problems(where)

    assert [] == other
    assert 2 * ["vip-taken"] == ids(both)
    assert 3 * ["vip-taken"] == ids(server)


def test_a_cluster_answers_for_its_address_with_the_macs_of_the_cluster() -> None:
    cluster_mac = mac(77)
    where = lan()
    part = replace(where.part, role="member", cluster_mac=cluster_mac)
    where.machines.append(Machine(cluster_mac, of(VIPS[4])))
    right = problems(replace(where, part=part))
    where.machines.append(Machine(mac(78), of(VIPS[4])))
    wrong = problems(replace(where, part=part))

    assert [] == right
    assert ["vip-taken"] == ids(wrong)
    assert mac(78).hex(":") in wrong[0].sentence


@VERSIONS
def test_a_port_that_filters_sources_is_found(version: int) -> None:
    (found,) = problems(lan(version=version), filters_sources=True)

    assert "source-filtered" == found.id
    assert "none received one with a foreign source address" in found.sentence


@VERSIONS
def test_where_no_server_answers_a_filter_cannot_be_told_apart(version: int) -> None:
    where = lan(version=version)
    for machine in where.machines:
        machine.holds = frozenset()

    assert 2 * ["server-lacks-vip"] == ids(problems(where, filters_sources=True))


@VERSIONS
def test_the_foreign_source_is_an_address_that_nobody_has(version: int) -> None:
    where = lan(version=version)
    first = survey(where.wire(), where.part, where.place, foreign=True).foreign[version]
    where.machines.append(Machine(mac(99), frozenset({first})))
    wire = where.wire()
    found = survey(wire, where.part, where.place, foreign=True)
    second = found.foreign[version]
    known = replace(where.place, known=frozenset({second}))
    third = survey(where.wire(), where.part, known, foreign=True).foreign[version]
    taken = {item for machine in where.machines for item in machine.answers} | where.place.own

    assert 3 == len({first, second, third})
    assert not {second, third} & taken
    assert any(second in network for network in where.place.networks)
    assert ({4: 0, 6: 0xFFFFFF}[version] & (int(second) ^ int(next(iter(where.place.own))))) == 0


def test_a_segment_without_a_free_address_is_not_asked_with_a_foreign_source() -> None:
    where = lan()
    where.machines.append(
        Machine(mac(99), frozenset(ip_address(f"192.0.2.{number}") for number in range(30, 250)))
    )

    assert {} == survey(where.wire(), where.part, where.place, foreign=True).foreign


def test_without_an_own_address_arp_is_still_asked_and_nothing_pinged() -> None:
    """As RFC 5227 asks: with the sender 0.0.0.0."""
    where = lan()
    where.machines.append(Machine(mac(99), of(VIPS[4])))
    bare = replace(where, place=replace(where.place, own=frozenset()))

    assert ["vip-taken"] == ids(problems(bare))


def test_hundreds_of_servers_are_asked_in_time() -> None:
    where = lan(servers=200)
    wire = where.wire()
    found = survey(wire, where.part, where.place, foreign=False)

    assert 200 == len(found.ponged)
    assert wire.now_s() < 3.0
