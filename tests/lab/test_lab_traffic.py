"""Do clients, servers and witnesses tell the truth about sessions?

The lab itself: if it lies, no other test in it proves anything.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
)
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet

from remainder.errors import ConfigError, HostError
from remainder.flow import Flow
from remainder.lab import (
    SCENES,
    Heartbeat,
    OneService,
    Session,
    Witness,
    flow_of,
    hold_sessions,
    http_sessions,
    scene,
    sessions_at,
    torn,
    transfer,
    udp_exchanges,
    witness,
)
from remainder.lab.host import python_module
from remainder.plan import make_plan
from remainder.sources.file import loads
from tests.lab.test_lab_hosts import processes_of

root = pytest.mark.root
bpf = pytest.mark.bpf


def no_program(interface: str) -> None:
    """Stands where a pass-all program would be attached; scenes without XDP need none."""


# The scene


@pytest.fixture(scope="module")
def to_s1() -> Iterator[OneService]:
    """The scene with the router's own routes in place of a balancer: all goes to s1."""
    with SCENES["one-service"](pass_all=no_program) as built:
        built.start_servers()
        route_to(built, "s1")
        yield built


def route_to(built: OneService, server: str) -> None:
    number = 10 + int(server[1:])
    built.router.add_route("203.0.113.10/32", via=f"192.0.2.{number}")
    built.router.add_route("2001:db8:113::10/128", via=f"2001:db8:2::{number}")


@root
def test_a_scene_stands_within_three_seconds() -> None:
    begun_s = time.monotonic()
    with SCENES["one-service"](pass_all=no_program):
        built_s = time.monotonic() - begun_s

    assert built_s < 3


def test_a_scene_that_there_is_not_is_an_error() -> None:
    with pytest.raises(ConfigError, match="wanted one of one-service"):
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
            secret="0" * 32,
            servers=["s1", "s3"],
            weights={"s3": 2},
            mode="native",
        )
        plan = make_plan(loads(text))
        names = ["web", "echo", "web6", "echo6"] if ipv6 else ["web", "echo"]

        assert names == [service.name for service in plan.services]
        assert [("s1", 1), ("s3", 2)] == [
            (server.name, server.weight) for server in plan.services[0].servers
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
        python_module("remainder.lab.servers", "--name=s1", "--port=8080", "--bind=203.0.113.10")
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


def account(sessions: list[Session]) -> dict[Flow, set[str]]:
    """What the clients say: flow → servers."""
    return {session.flow: set(session.servers) for session in sessions}


@root
@pytest.mark.parametrize("version", [4, 6])
def test_witnesses_and_clients_tell_the_same(to_s1: OneService, version: int) -> None:
    with to_s1.witnesses() as witnesses:
        sources = to_s1.client_addresses[version][:50]
        claimed = account(
            http_sessions(to_s1.clients, to_s1.web(version), sources=sources)
            + udp_exchanges(to_s1.clients, to_s1.echo(version), sources=sources, datagrams=3)
        )
        seen = sessions_at(witnesses.values())

    assert claimed == {flow: set(servers) for flow, servers in seen.items() if flow in claimed}
    assert [3] * 50 == [seen[flow]["s1"] for flow in claimed if flow.protocol == 17]
    assert {} == torn(seen)
    assert [0] * 4 == [one.lost for one in witnesses.values()]


@root
def test_a_session_that_changes_its_server_is_torn_and_is_found(to_s1: OneService) -> None:
    with (
        to_s1.witnesses() as witnesses,
        hold_sessions(
            to_s1.clients,
            to_s1.web(),
            sources=to_s1.client_addresses[4],
            sessions=20,
            interval_s=0.1,
        ) as held,
    ):
        route_to(to_s1, "s2")
        try:
            time.sleep(1)
        finally:
            route_to(to_s1, "s1")
        sessions = held.stop()
        found = torn(sessions_at(witnesses.values()))

    assert [False] * 20 == [session.ok for session in sessions]
    assert {session.flow for session in sessions} == set(found)
    assert all({"s1", "s2"} == set(servers) for servers in found.values())


@root
def test_a_witness_does_not_count_what_a_switch_floods(to_s1: OneService) -> None:
    stranger = Ether(dst="02:00:5e:00:53:01") / IP(dst="192.0.2.99") / UDP(dport=9) / b"flooded"

    def flood() -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
            raw.bind(("eth0", 0))
            raw.send(bytes(stranger))

    with to_s1.witnesses() as witnesses:
        to_s1.router.call(flood)
        udp_exchanges(to_s1.clients, to_s1.echo(), sources=["198.51.100.2"])
        seen = sessions_at(witnesses.values())

    assert ["203.0.113.10"] == [str(flow.dst_ip) for flow in seen]


@root
def test_an_account_with_gaps_is_refused(
    to_s1: OneService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witness, "_ROOM_BYTES", 4096)
    monkeypatch.setattr(witness, "_POLL_S", 60.0)
    with Witness(to_s1.servers["s1"]) as cramped:
        udp_exchanges(to_s1.clients, to_s1.echo(), sources=to_s1.client_addresses[4], datagrams=2)

        with pytest.raises(HostError, match=r"the witness on s1 lost \d+ packets"):
            sessions_at([cramped])


@root
def test_a_witness_can_start_anew(to_s1: OneService) -> None:
    with Witness(to_s1.servers["s1"]) as one:
        udp_exchanges(to_s1.clients, to_s1.echo(), sources=["198.51.100.2"])
        assert one.packets()

        one.forget()

        assert {} == one.packets()


FRAMES: list[tuple[str, Packet, str | None]] = [
    ("tcp", IP(src="198.51.100.7", dst="203.0.113.10") / TCP(sport=1, dport=80), "1 80 6"),
    ("options", IP(options=[b"\x01" * 4]) / UDP(sport=1, dport=7), "1 7 17"),
    ("first fragment", IP(flags="MF") / UDP(sport=1, dport=7) / b"x", "1 7 17"),
    ("later fragment", IP(frag=5, proto=17) / b"payload of a fragment", "0 0 17"),
    ("echo", IP() / ICMP(type=8, id=77), "77 0 1"),
    ("unreachable", IP() / ICMP(type=3, id=77), "0 0 1"),
    ("tcp6", IPv6() / TCP(sport=1, dport=80), "1 80 6"),
    ("behind options", IPv6() / IPv6ExtHdrDestOpt() / UDP(sport=1, dport=7), "1 7 17"),
    ("first fragment6", IPv6() / IPv6ExtHdrFragment(m=1) / UDP(sport=1, dport=7), "1 7 17"),
    ("later fragment6", IPv6() / IPv6ExtHdrFragment(offset=9, nh=17) / b"payload", "0 0 17"),
    ("echo6", IPv6() / ICMPv6EchoRequest(id=77), "77 0 58"),
    ("no next header", IPv6(nh=59), "0 0 59"),
    ("arp", ARP(), None),
]


@pytest.mark.parametrize(
    ("packet", "wanted"), [row[1:] for row in FRAMES], ids=[row[0] for row in FRAMES]
)
def test_a_witness_reads_the_five_fields(packet: Packet, wanted: str | None) -> None:
    flow = flow_of(bytes(Ether(dst="02:00:5e:00:53:01", src="02:00:5e:00:53:02") / packet))
    fields = flow and f"{flow.src_port} {flow.dst_port} {flow.protocol}"

    assert wanted == fields
    if flow is not None:
        assert (packet.src, packet.dst) == (str(flow.src_ip), str(flow.dst_ip))


@pytest.mark.parametrize("length", range(54))
def test_a_witness_survives_a_frame_cut_short(length: int) -> None:
    for packet in (IP() / TCP(), IPv6() / TCP()):
        whole = bytes(Ether(dst="02:00:5e:00:53:01", src="02:00:5e:00:53:02") / packet)
        flow_of(whole[:length])


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
        session.flow: {plan.where(session.flow).server} for session in sessions
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
