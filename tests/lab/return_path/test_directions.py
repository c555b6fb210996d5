"""Do both directions of a session meet one router?  Claims 44-48."""

from __future__ import annotations

import socket
import struct
from ipaddress import ip_address
from pathlib import Path

import pytest

from remainder.flow import ICMP, Flow, endpoint
from remainder_lab import http_sessions, transfer, udp_exchanges
from remainder_lab.acts_return import (
    KEYS,
    SESSIONS,
    publish,
    seen_at,
    show_sessions,
    show_way_back,
    turned,
    watching,
)
from remainder_lab.host import Host, python_module
from remainder_lab.numbering import server_address
from remainder_lab.return_path import ReturnPath
from remainder_lab.tiered import INSIDE, router_address
from tests.lab.return_path.servers import outcomes

pytestmark = [pytest.mark.root, pytest.mark.bpf]


@pytest.mark.parametrize(
    ("key", "table", "weights"),
    [
        *((key, "modulo", None) for key in KEYS.values()),
        (KEYS["hash"], "maglev", {"r1": 3, "r2": 1}),
    ],
    ids=[*KEYS, "hash, maglev, weights"],
)
def test_both_directions_of_a_session_meet_one_router(
    scene: ReturnPath, file: Path, key: str, table: str, weights: dict[str, int] | None
) -> None:
    """Counted at both sides of both routers, which have firewalls that know sessions."""
    publish(scene, file, scene.config_text(key=key, table=table, weights=weights, mode="native"))
    returned = show_sessions(scene, file)
    print(f"{key}, {table}: {returned.carried}, {len(returned.broken)} broken")

    assert SESSIONS == len(returned.trips)
    assert () == returned.broken
    assert () == returned.strayed
    assert {"r1", "r2"} == set(returned.carried)
    assert min(returned.carried.values()) > (0.15 if weights else 0.35) * SESSIONS


def test_without_the_role_stateful_firewalls_break_the_sessions_of_the_other_router(
    scene: ReturnPath, file: Path
) -> None:
    """All answers leave through the first router: those of the second's sessions are dropped."""
    shown = show_way_back(scene, file)
    broken = shown.not_chosen.broken
    print(f"{len(broken)} of {SESSIONS} broken without the role, {len(shown.again.broken)} with")

    assert set(shown.elsewhere) == set(broken)
    assert 0.35 * SESSIONS < len(broken) < 0.65 * SESSIONS
    assert () == shown.chosen.broken
    assert () == shown.again.broken
    assert shown.ok


def test_traffic_of_the_segment_goes_straight(scene: ReturnPath) -> None:
    """Between servers, and to a router itself, whichever router the calculation names."""
    asking, r2 = scene.servers["s1"], scene.routers["r2"]
    before = outcomes(scene, "s1")
    with serving(r2, "r2", router_address("r2"), router_address("r2", 6)), watching(scene) as seen:
        told = {
            name: http_sessions(asking, endpoint(ip_address(to), 80), sources=[source], sessions=40)
            for name, to, source in (
                ("s2", server_address("s2", 4), server_address("s1", 4)),
                ("s3", server_address("s3", 6), server_address("s1", 6)),
                ("r2", router_address("r2"), server_address("s1", 4)),
                ("r2 by IPv6", router_address("r2", 6), server_address("s1", 6)),
            )
        }
        _, inside = seen
        met = seen_at(inside)
    after = outcomes(scene, "s1")

    assert [] == [session for each in told.values() for session in each if not session.ok]
    for name, sessions in told.items():
        at = {met.get(session.flow, frozenset()) for session in sessions}

        assert {frozenset({"r2"}) if name.startswith("r2") else frozenset()} == at
    assert after["on_link"] - before["on_link"] > 4 * 40


def test_what_servers_begin_themselves_goes_out_where_its_answer_comes_in(
    scene: ReturnPath, file: Path
) -> None:
    """With ``others``: the cluster keeps the answer by the same calculation, turned round."""
    scene.raise_firewalls(new_from=["eth0", INSIDE])
    publish(scene, file, scene.config_text(mode="native", others=True))
    sessions = []
    listening = [scene.client_addresses[version][0] for version in scene.versions]
    with serving(scene.clients, "client", *listening), watching(scene) as (way_in, way_back):
        for name, server in scene.servers.items():
            for version, client in zip(scene.versions, listening, strict=True):
                sessions += http_sessions(
                    server,
                    endpoint(ip_address(client), 80),
                    sources=[server_address(name, version)],
                    sessions=40,
                )
        out, back = seen_at(way_back), seen_at(way_in)
    routers = [(out[session.flow], back[turned(session.flow)]) for session in sessions]

    assert 240 == len(sessions)
    assert [] == [session for session in sessions if not session.ok]
    assert all(going == coming and len(going) == 1 for going, coming in routers)
    assert {frozenset({"r1"}), frozenset({"r2"})} == {going for going, _ in routers}


def test_pings_of_a_server_come_back_through_their_router(scene: ReturnPath, file: Path) -> None:
    """An echo has no ports: its identifier counts as the source port, both ways."""
    publish(scene, file, scene.config_text(mode="native", others=True))
    clients = scene.client_addresses[4][:12]
    with watching(scene) as (way_in, way_back):
        answers = [
            scene.clients.call(_ping, client, scene.vips[4], identifier)
            for identifier, client in enumerate(clients, 100)
        ]
        asked, answered = seen_at(way_in), seen_at(way_back)
    pings = {flow: at for flow, at in asked.items() if flow.protocol == ICMP}

    assert [True] * len(clients) == answers
    assert len(clients) == len(pings)
    for flow, at in pings.items():
        reply = Flow(flow.dst_ip, flow.src_port, flow.src_ip, 0, ICMP)

        assert at == answered[reply]
    assert 2 == len(set(pings.values()))


def test_an_error_of_a_server_takes_the_way_of_the_session_it_quotes(
    scene: ReturnPath, file: Path
) -> None:
    """Nobody listens on the port: the firewall lets "unreachable" pass as part of a session."""
    publish(scene, file, scene.config_text(mode="native", others=True))
    for version in scene.versions:
        said = [
            scene.clients.call(_ask, client, scene.vips[version], port=9, length=10)
            for client in scene.client_addresses[version][:10]
        ]

        assert ["ConnectionRefusedError"] * 10 == said


def test_fragments_come_back_whole_under_a_key_without_ports(scene: ReturnPath, file: Path) -> None:
    """Datagrams of 4,000 bytes, in three pieces each way; dropped unless the file lets them."""
    ask = {
        version: lambda client, vip=scene.vips[version]: scene.clients.call(
            _ask, client, vip, port=7, length=4000
        )
        for version in scene.versions
    }
    publish(scene, file, scene.config_text(mode="native", others=True))

    assert "TimeoutError" == ask[4](scene.client_addresses[4][0])

    text = scene.config_text(key="src_ip + dst_ip", others=True, fragments="forward", mode="native")
    publish(scene, file, text)
    for version in scene.versions:
        said = [ask[version](client) for client in scene.client_addresses[version][:10]]

        assert ["4003 bytes"] * 10 == said  # with the server's name


def test_large_bodies_and_datagrams_come_back_intact(scene: ReturnPath) -> None:
    """What a server sends in pieces of 64 KB, for its interface to cut, takes the same way."""
    for version in scene.versions:
        sources = scene.client_addresses[version]
        for source in sources[:2]:
            bodies = transfer(scene.clients, scene.web(version), source=source, length=10_000_000)

            assert ["down", "up"] == [body.direction for body in bodies]
            assert [] == [body for body in bodies if not body.ok]
        exchanges = udp_exchanges(scene.clients, scene.echo(version), sources=sources, flows=100)

        assert [] == [exchange for exchange in exchanges if not exchange.ok]


class serving:  # noqa: N801  (used like a function)
    """A server on a host for as long as the block runs."""

    def __init__(self, host: Host, name: str, *addresses: str) -> None:
        binds = [f"--bind={address}" for address in addresses]
        self.process = host.popen(
            python_module(
                "remainder_lab.servers", f"--name={name}", "--port=80", "--udp-port=7", *binds
            )
        )

    def __enter__(self) -> None:
        self.process.wait_for("ready")

    def __exit__(self, *_: object) -> None:
        self.process.terminate()


def _ask(source: str, target: str, *, port: int, length: int) -> str:
    """What becomes of a datagram: the length of its echo, or the error."""
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as opened:
        opened.bind((source, 0))
        opened.settimeout(1)
        opened.connect((target, port))
        opened.send(bytes(length))
        try:
            return f"{len(opened.recv(8192))} bytes"
        except OSError as error:
            return type(error).__name__


def _ping(source: str, target: str, identifier: int) -> bool:
    """Whether an echo request (RFC 792) is answered."""
    words = [0x0800, 0, identifier, 1]
    words[1] = ~(sum(words) % 0xFFFF) & 0xFFFF
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
        raw.bind((source, 0))
        raw.settimeout(2)
        raw.sendto(struct.pack("!4H", *words), (target, 0))
        try:
            return raw.recv(2048)[20:26:4] == bytes((0, identifier >> 8))
        except TimeoutError:
            return False
