"""Do clients and servers tell the truth about sessions?

The lab itself: if it lies, no other test in it proves anything.
"""

from __future__ import annotations

import socket
import time
from ipaddress import ip_address
from pathlib import Path

import pytest

from remainder.errors import ConfigError
from remainder.plan import make_plan
from remainder.sources.file import loads
from remainder_lab import (
    SCENES,
    Heartbeat,
    OneService,
    hold_sessions,
    http_sessions,
    scene,
    sessions_at,
    torn,
    transfer,
    udp_exchanges,
)
from remainder_lab.host import python_module
from tests.lab.straight import account, no_program
from tests.lab.test_lab_hosts import processes_of

root = pytest.mark.root
bpf = pytest.mark.bpf


# The scene


@root
def test_a_scene_stands_within_three_seconds() -> None:
    begun_s = time.monotonic()
    with SCENES["one-service"](pass_all=no_program):
        built_s = time.monotonic() - begun_s

    assert built_s < 3


def test_a_scene_that_there_is_not_is_an_error() -> None:
    with pytest.raises(ConfigError, match="expected one of one-service"):
        scene("no-service")


@root
@pytest.mark.parametrize("version", [4, 6])
def test_every_client_address_has_its_session_and_the_server_sees_it(
    to_s1: OneService, version: int
) -> None:
    sessions = http_sessions(
        to_s1.clients, to_s1.web(version), sources=to_s1.client_addresses[version], sessions=400
    )

    assert [] == [session for session in sessions if not session.ok]
    assert {"s1"} == {session.server for session in sessions}
    assert 400 == len({session.flow for session in sessions})
    assert {ip_address(address) for address in to_s1.client_addresses[version]} == {
        session.flow.src_ip for session in sessions
    }


@root
@pytest.mark.parametrize("version", [4, 6])
def test_every_datagram_is_echoed_from_the_vip(to_s1: OneService, version: int) -> None:
    flows = udp_exchanges(
        to_s1.clients, to_s1.echo(version), sources=to_s1.client_addresses[version], datagrams=3
    )

    assert [] == [flow for flow in flows if not flow.ok]
    assert [3] * 200 == [flow.requests for flow in flows]


@root
@pytest.mark.parametrize("version", [4, 6])
def test_a_large_body_comes_through_whole_both_ways(to_s1: OneService, version: int) -> None:
    source = to_s1.client_addresses[version][7]
    down, up = transfer(to_s1.clients, to_s1.web(version), source=source, length=5_000_001)

    assert ("down", "up") == (down.direction, up.direction)
    assert down.ok
    assert up.ok


@root
def test_a_source_may_name_its_port(to_s1: OneService) -> None:
    sources = ["198.51.100.2:40001", "198.51.100.4:40001"]
    sessions = http_sessions(to_s1.clients, to_s1.web(), sources=sources)

    assert sources == sorted(session.client for session in sessions)
    assert all(session.ok for session in sessions)


@root
def test_sessions_to_nobody_are_refused_and_said_to_be(to_s1: OneService) -> None:
    sessions = http_sessions(
        to_s1.clients, "203.0.113.10:81", sources=to_s1.client_addresses[4], sessions=3
    )

    assert [False] * 3 == [session.ok for session in sessions]
    assert all("ConnectionRefusedError" in session.errors[0] for session in sessions)


@root
def test_curl_like_requests_are_answered(to_s1: OneService) -> None:
    def ask() -> bytes:
        with socket.create_connection(("203.0.113.10", 80), timeout=5) as connection:
            connection.sendall(
                b"PUT /upload HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
            )
            answer = connection.recv(1000)
            connection.sendall(b"abcGET /nowhere HTTP/1.1\r\n\r\n")
            while piece := connection.recv(1000):
                answer += piece
        return answer

    answer = to_s1.clients.call(ask).decode()

    assert answer.startswith("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    assert "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" in answer
    assert "HTTP/1.1 404 " in answer


@pytest.mark.parametrize("ipv6", [True, False])
@root
def test_the_file_of_a_scene_is_a_good_file(ipv6: bool) -> None:  # noqa: FBT001
    with SCENES["one-service"](servers=3, clients=1, ipv6=ipv6, pass_all=no_program) as built:
        text = built.config_text(
            key="hash(src_ip)",
            table="maglev",
            slots=101,
            secret="8f1d0c5ab3e27946d1f0a86e35bc9247",  # noqa: S106  (of a test)
            servers=["s1", "s3"],
            weights={"s3": 2},
            mode="native",
        )
        plan = make_plan(loads(text))
        names = ["web", "echo", "web6", "echo6"] if ipv6 else ["web", "echo"]

        assert names == [service.name for service in plan.choices]
        assert [("s1", 1), ("s3", 2)] == [
            (server.name, server.weight) for server in plan.choices[0].owners
        ]
        assert loads(text).balancer_named(built.node) is not None


# Held sessions


@root
def test_held_sessions_ask_until_they_are_told_to_stop(to_s1: OneService) -> None:
    with hold_sessions(
        to_s1.clients,
        to_s1.web(),
        sources=to_s1.client_addresses[4],
        sessions=300,
        interval_s=0.1,
    ) as held:
        time.sleep(1)
    sessions = held.stop()

    assert 300 == len(sessions)
    assert [] == [session for session in sessions if not session.ok]
    assert all(session.requests >= 3 for session in sessions)


@root
def test_held_sessions_end_by_themselves_when_their_time_is_over(to_s1: OneService) -> None:
    begun_s = time.monotonic()
    with hold_sessions(
        to_s1.clients, to_s1.web(), sources=["198.51.100.2"], interval_s=0.1, limit_s=0.5
    ) as held:
        while processes_of(to_s1.clients.namespace):
            assert time.monotonic() - begun_s < 5
            time.sleep(0.05)

    assert [True] == [session.ok for session in held.stop()]


@root
def test_held_sessions_report_what_a_dead_server_did_to_them(to_s1: OneService) -> None:
    server = to_s1.servers["s1"].popen(
        python_module("remainder_lab.servers", "--name=s1", "--port=8080", "--bind=203.0.113.10")
    )
    server.wait_for("ready")
    with hold_sessions(
        to_s1.clients,
        "203.0.113.10:8080",
        sources=to_s1.client_addresses[4],
        sessions=20,
        interval_s=0.1,
    ) as held:
        server.kill()
        time.sleep(0.6)
    sessions = held.stop()

    assert [False] * 20 == [session.ok for session in sessions]
    assert all(session.errors for session in sessions)


# Witnesses


@root
def test_a_heartbeat_measures_how_long_a_server_was_away(to_s1: OneService) -> None:
    with Heartbeat(to_s1.clients, {4: to_s1.echo()}) as heartbeat:
        time.sleep(0.2)
        begun_s = time.monotonic()
        to_s1.segment.silence(to_s1.servers["s1"])
        time.sleep(0.3)
        to_s1.segment.hear(to_s1.servers["s1"])
        heard_s = time.monotonic()
        time.sleep(0.3)
        ended_s = time.monotonic()
        away_s = heartbeat.interruptions_s(begun_s, ended_s)[4]
        calm_s = heartbeat.interruptions_s(heard_s + 0.1, ended_s)[4]

    assert 0.25 < away_s < heard_s - begun_s + 0.1
    assert 0 == calm_s


# With the real balancer


@root
@bpf
@pytest.mark.parametrize("mode", ["native", "generic"])
def test_the_balancer_of_the_scene_splits_sessions_as_its_file_says(
    one_service: OneService, tmp_path: Path, mode: str
) -> None:
    file = tmp_path / "remainder.toml"
    file.write_text(one_service.config_text())
    plan = make_plan(loads(file.read_text()))
    balancer = one_service.start_balancer(file, "--mode", mode)
    with one_service.witnesses() as witnesses:
        sessions = [
            session
            for version in (4, 6)
            for session in (
                *http_sessions(
                    one_service.clients,
                    one_service.web(version),
                    sources=one_service.client_addresses[version],
                ),
                *udp_exchanges(
                    one_service.clients,
                    one_service.echo(version),
                    sources=one_service.client_addresses[version],
                ),
                *transfer(
                    one_service.clients,
                    one_service.web(version),
                    source=one_service.client_addresses[version][0],
                    length=5_000_000,
                ),
            )
        ]
        seen = sessions_at(witnesses.values())
    code = balancer.terminate()

    assert [] == [session for session in sessions if not session.ok]
    assert account(sessions) == {
        session.flow: {plan.where(session.flow).owner} for session in sessions
    }
    assert account(sessions) == {flow: set(seen[flow]) for flow in account(sessions)}
    assert {} == torn(seen)
    assert 0 == code


@root
@bpf
def test_a_killed_balancer_is_taken_away_with_its_scene(tmp_path: Path) -> None:
    file = tmp_path / "remainder.toml"
    with SCENES["one-service"](servers=2, clients=1) as built:
        file.write_text(built.config_text())
        built.start_balancer(file).kill()
        node = built.node
        pinned = Path("/sys/fs/bpf/remainder", node)

        assert pinned.exists()

    assert not pinned.exists()
    assert [] == list(Path("/run/remainder").glob(f"{node}*"))
