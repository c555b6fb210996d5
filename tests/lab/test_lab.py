"""The lab itself: if it lies, no other test in it proves anything."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
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
    End,
    Heartbeat,
    Host,
    OneService,
    Segment,
    Session,
    Wire,
    Witness,
    flow_of,
    hold_sessions,
    http_sessions,
    remove_leftovers,
    scene,
    sessions_at,
    torn,
    transfer,
    udp_exchanges,
    witness,
)
from remainder.lab.ethtool import tx_checksum
from remainder.lab.host import python_module
from remainder.lab.namespaces import FOLDER
from remainder.lab.running import MARK
from remainder.plan import make_plan
from remainder.sources.file import loads

root = pytest.mark.root
bpf = pytest.mark.bpf

SLEEP = ["sleep", "300"]

GREETER = """
import socket
server = socket.create_server(("::", 7777), family=socket.AF_INET6, dualstack_ipv6=True)
print("ready")
while True:
    visitor, _ = server.accept()
    visitor.send(b"hello")
    visitor.close()
"""
HELLO = [sys.executable, "-c", GREETER]
"""A server that says hello to everybody."""


def no_program(interface: str) -> None:
    """Stands where a pass-all program would be attached; scenes without XDP need none."""


def namespaces_of(pid: int) -> list[str]:
    return [path.name for path in FOLDER.glob(f"rmd-{pid}-*")] if FOLDER.exists() else []


def processes_of(prefix: str) -> list[int]:
    """Who carries the mark of a lab's namespace."""
    mark = f"{MARK}={prefix}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if any(entry.startswith(mark) for entry in path.read_bytes().split(b"\0")):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def namespace_here() -> int:
    return Path("/proc/thread-self/ns/net").stat().st_ino


def said(host: Host, address: str, port: int, *, patience_s: float = 2.0) -> str:
    """What a listener at the address says to a visitor from the host."""

    def ask() -> str:
        with socket.create_connection((address, port), timeout=patience_s) as connection:
            return connection.recv(100).decode()

    return host.call(ask)


# Hosts


@root
def test_a_host_is_a_namespace_that_ends_with_its_block() -> None:
    with Host("h") as host:
        inside = host.namespace

        assert f"rmd-{os.getpid()}-h" == inside
        assert (FOLDER / inside).exists()

    assert not (FOLDER / inside).exists()


@root
def test_two_hosts_of_one_name_are_two_namespaces() -> None:
    with Host("h") as one, Host("h") as other:
        assert one.namespace != other.namespace
        assert one.call(namespace_here) != other.call(namespace_here)


@root
def test_a_function_runs_inside_and_the_caller_stays_outside() -> None:
    before = namespace_here()
    with Host("h") as host:
        inside = host.call(namespace_here)

        assert (FOLDER / host.namespace).stat().st_ino == inside
        assert before == namespace_here()
        assert before != inside


@root
def test_what_a_function_inside_raises_reaches_the_caller() -> None:
    with Host("h") as host, pytest.raises(ZeroDivisionError):
        host.call(lambda: 1 // 0)


@root
def test_a_command_runs_inside_and_sees_the_bpf_file_system() -> None:
    with Host("h") as host:
        done = host.run(["stat", "-f", "-c", "%T", "/sys/fs/bpf"])
        links = host.run(["cat", "/proc/net/dev"]).stdout

        assert "bpf_fs\n" == done.stdout
        assert ["lo"] == [line.split(":")[0].strip() for line in links.splitlines()[2:]]


@root
def test_a_command_that_takes_too_long_is_an_error() -> None:
    with (
        Host("h") as host,
        pytest.raises(HostError, match=r"sleep 300 on h took longer than 0\.1 s"),
    ):
        host.run(SLEEP, limit_s=0.1)


@root
@pytest.mark.parametrize(
    "script",
    [
        "echo ready; sleep 300; true",
        "trap '' TERM; echo ready; sleep 300; sleep 300",
        "sleep 300 & setsid sleep 300 & echo ready; wait",
    ],
    ids=["plain", "deaf to SIGTERM", "with children and a daemon"],
)
def test_every_process_ends_with_its_host(script: str) -> None:
    with Host("h", grace_s=0.3) as host:
        process = host.popen(["sh", "-c", script])
        process.wait_for("ready")

        assert process.pid in processes_of(host.namespace)

    assert [] == processes_of(f"rmd-{os.getpid()}-")


@root
def test_a_process_that_ends_early_is_quoted() -> None:
    with Host("h") as host:
        process = host.popen(["sh", "-c", "echo no such luck >&2; exit 3"], title="the thing")

        with pytest.raises(HostError, match=r"the thing ended; it said:\n  no such luck"):
            process.wait_for("ready")
        assert 3 == process.wait(1)


@root
def test_a_sysctl_is_set_inside_alone() -> None:
    outside = Path("/proc/sys/net/ipv4/ip_default_ttl").read_text()
    with Host("h") as host:
        host.sysctl("net.ipv4.ip_default_ttl", 77)

        assert "77\n" == host.run(["cat", "/proc/sys/net/ipv4/ip_default_ttl"]).stdout
        assert outside == Path("/proc/sys/net/ipv4/ip_default_ttl").read_text()
        with pytest.raises(HostError, match=r"sysctl net\.no\.such = 1 was refused"):
            host.sysctl("net.no.such", 1)


@root
def test_an_interface_that_is_not_there_is_an_error() -> None:
    with Host("h") as host, pytest.raises(HostError, match="host h has no interface eth7"):
        host.mac("eth7")


def test_a_host_outside_of_its_block_is_an_error() -> None:
    with pytest.raises(HostError, match="host h is used outside of its with block"):
        Host("h").run(["true"])


# Whatever happens, nothing stays


BUILD = """
import sys, time
from remainder.lab import SCENES
print("begun", flush=True)
with SCENES["one-service"](pass_all=lambda interface: None) as scene:
    scene.start_servers()
    print("built", flush=True)
    if sys.argv[1] == "raise":
        raise RuntimeError
    time.sleep(60)
"""


def building(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", BUILD, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def lines_until(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdout is not None
    for said_line in process.stdout:
        if said_line.strip() == line:
            return


@root
def test_an_exception_leaves_nothing_behind() -> None:
    with building("raise") as process:
        lines_until(process, "built")

        assert 1 == process.wait(10)
        assert [] == namespaces_of(process.pid)
        assert [] == processes_of(f"rmd-{process.pid}-")


@root
@pytest.mark.parametrize("after_s", [0.02, 0.1, 0.2, 0.3, 0.5, 0.8, 2.0])
def test_an_interrupt_at_any_moment_leaves_nothing_behind(after_s: float) -> None:
    with building("wait") as process:
        lines_until(process, "begun")
        time.sleep(after_s)
        process.send_signal(signal.SIGINT)
        process.wait(10)

        assert [] == namespaces_of(process.pid)
        assert [] == processes_of(f"rmd-{process.pid}-")


@root
def test_what_a_killed_lab_left_is_removed_and_what_lives_is_not() -> None:
    with Host("alive") as host, building("wait") as process:
        lines_until(process, "built")
        process.kill()
        process.wait(10)

        left = namespaces_of(process.pid)
        assert 8 == len(left)
        assert processes_of(f"rmd-{process.pid}-")

        removed = remove_leftovers()

        assert set(left) <= set(removed)
        assert host.namespace not in removed
        assert [] == namespaces_of(process.pid)
        assert [] == processes_of(f"rmd-{process.pid}-")


# Wires


@root
def test_two_hosts_on_a_wire_reach_each_other() -> None:
    with Host("a") as a, Host("b") as b:
        ends = (
            End(host=a, interface="to-b", addresses=["192.0.2.1/24", "2001:db8::1/64"]),
            End(host=b, interface="to-a", addresses=["192.0.2.2/24", "2001:db8::2/64"]),
        )
        with Wire(*ends, mtu=1400):
            b.popen(HELLO).wait_for("ready")

            assert "hello" == said(a, "192.0.2.2", 7777)
            assert "hello" == said(a, "2001:db8::2", 7777)
            assert 1400 == a.interface("to-b").mtu == b.interface("to-a").mtu


@root
def test_a_pulled_cable_costs_the_carrier_and_comes_back_with_every_route() -> None:
    with Host("a") as a, Host("b") as b:
        ends = (
            End(host=a, interface="eth0", addresses=["192.0.2.1/24", "2001:db8::1/64"]),
            End(host=b, interface="eth0", addresses=["192.0.2.2/24", "2001:db8::2/64"]),
        )
        with Wire(*ends) as wire:
            a.add_addresses("lo", ["198.51.100.1/32", "2001:db8:51::1/128"])
            b.add_route("198.51.100.0/24", via="192.0.2.1")
            b.add_route("2001:db8:51::/64", via="2001:db8::1")
            a.popen(HELLO).wait_for("ready")
            wire.down()

            assert not a.interface("eth0").carrier
            for address in ("198.51.100.1", "2001:db8:51::1"):
                with pytest.raises(OSError, match=r"unreachable|timed out"):
                    said(b, address, 7777)

            wire.up()

            assert a.interface("eth0").carrier
            assert "hello" == said(b, "198.51.100.1", 7777)
            assert "hello" == said(b, "2001:db8:51::1", 7777)


@root
def test_the_far_end_of_an_xdp_interface_is_made_ready_and_the_near_end_is_not() -> None:
    readied: list[tuple[int, str]] = []

    def record(interface: str) -> None:
        readied.append((namespace_here(), interface))

    with Host("a") as a, Host("b") as b:
        ends = (End(host=a, interface="xdp0", xdp=True), End(host=b, interface="far0"))
        with Wire(*ends, pass_all=record):
            assert [(b.call(namespace_here), "far0")] == readied
            assert not b.call(tx_checksum, "far0")
            assert a.call(tx_checksum, "xdp0")


@root
def test_hosts_on_a_segment_reach_each_other_until_one_is_unplugged() -> None:
    with (
        Host("a") as a,
        Host("b") as b,
        Segment() as segment,
        segment.wired(a, addresses=["192.0.2.1/24"]),
        segment.wired(b, addresses=["192.0.2.2/24"]) as wire,
    ):
        segment.introduce()
        b.popen(HELLO).wait_for("ready")

        assert "hello" == said(a, "192.0.2.2", 7777)

        wire.down()

        assert not b.interface("eth0").carrier
        with pytest.raises(TimeoutError):
            said(a, "192.0.2.2", 7777, patience_s=0.5)

        wire.up()

        assert "hello" == said(a, "192.0.2.2", 7777)


@root
def test_a_silenced_host_keeps_its_carrier_and_is_heard_again() -> None:
    with (
        Host("a") as a,
        Host("b") as b,
        Segment() as segment,
        segment.wired(a, addresses=["192.0.2.1/24"]),
        segment.wired(b, addresses=["192.0.2.2/24"]),
    ):
        segment.introduce()
        b.popen(HELLO).wait_for("ready")
        segment.silence(b)

        assert b.interface("eth0").carrier
        with pytest.raises(TimeoutError):
            said(a, "192.0.2.2", 7777, patience_s=0.5)

        segment.hear(b)

        assert "hello" == said(a, "192.0.2.2", 7777)


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
