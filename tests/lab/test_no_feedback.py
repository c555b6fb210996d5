"""Claims 3 and 4: what servers send to a balancer, tapped on its wire and read by scapy."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Final

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import (
    ICMPv6EchoReply,
    ICMPv6MLReport2,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    IPv6,
)
from scapy.layers.l2 import ARP, Ether

from remainder_lab import OneService, Session, hold_sessions, http_sessions, transfer, udp_exchanges
from tests.lab.tap import Seen, Tap

pytestmark = [pytest.mark.root, pytest.mark.bpf]

RESOLVING: Final = {"ARP", "neighbour discovery"}
PING: Final = "answer to a ping"
MEMBERSHIP: Final = "group membership"
"""What a kernel tells multicast routers when it is given an address (RFC 3810)."""


def kind_of(frame: Seen) -> str:
    """By scapy's parsers, which know nothing of ours; what has no name here is told whole."""
    packet = Ether(frame.start)
    if ARP in packet:
        return "ARP"
    if ICMPv6ND_NS in packet or ICMPv6ND_NA in packet:
        return "neighbour discovery"
    if ICMPv6EchoReply in packet or (ICMP in packet and packet[ICMP].type == 0):
        return PING
    if ICMPv6MLReport2 in packet and packet.dst == "33:33:00:00:00:16":
        return MEMBERSHIP
    return str(packet.summary())


def source_of(frame: Seen) -> tuple[str, str]:
    """(MAC address, IP address)"""
    packet = Ether(frame.start)
    layer = packet[IP] if IP in packet else packet[IPv6]
    return str(packet.src), str(layer.src)


def test_a_server_sends_a_balancer_its_addresses_and_one_answer_and_nothing_else(
    scene: OneService, tmp_path: Path
) -> None:
    """Short sessions, held ones, uploads, downloads and datagrams, both families: no feedback."""
    path = tmp_path / "r.toml"
    path.write_text(scene.config_text(key="src_ip + src_port"))
    macs = {host.mac_bytes("eth0") for host in scene.servers.values()}
    with Tap(scene.segment.host, scene.balancer.name) as tap:
        process = scene.start_balancer(path)
        wait_for_answers(tap, len(scene.servers) * len(scene.vips))
        starting = len(tap.frames())
        sessions = traffic(scene)
        process.terminate()
        frames = tap.frames()
    from_servers = [
        (number < starting, frame)
        for number, frame in enumerate(frames)
        if frame.sent and frame.source in macs
    ]
    kinds = Counter(kind_of(frame) for _, frame in from_servers)
    answers = [source_of(frame) for _, frame in from_servers if kind_of(frame) == PING]
    while_starting = {kind_of(frame) for start, frame in from_servers if start}
    while_working = {kind_of(frame) for start, frame in from_servers if not start}
    print(f"from servers to the balancer: {dict(kinds)}")

    assert [] == [session for session in sessions if not session.ok]
    assert set(scene.servers) == {session.server for session in sessions}
    # The tap sees what comes: the clients' packets, and each server where it is asked for.
    assert sum(frame.sent and frame.source not in macs for frame in frames) > 4 * len(sessions)
    assert macs == {frame.source for _, frame in from_servers if kind_of(frame) in RESOLVING}
    # One ping of each server for each VIP, when the balancer starts, and never again.
    assert {
        (host.mac("eth0"), vip) for host in scene.servers.values() for vip in scene.vips.values()
    } == set(answers)
    assert while_starting <= {*RESOLVING, PING, MEMBERSHIP}
    assert while_working <= {*RESOLVING, MEMBERSHIP}


def wait_for_answers(tap: Tap, count: int) -> None:
    """Until the one ping of each server for each VIP is over."""
    deadline_s = time.monotonic() + 5
    while len({source_of(one) for one in tap.frames() if kind_of(one) == PING}) < count:
        assert time.monotonic() < deadline_s
        time.sleep(0.1)
    time.sleep(0.5)  # one that was asked again, on a slow machine, answers twice


def traffic(scene: OneService) -> list[Session]:
    sessions: list[Session] = []
    for version in scene.versions:
        sources = scene.client_addresses[version]
        with hold_sessions(
            scene.clients, scene.web(version), sources=sources, sessions=50, interval_s=0.2
        ) as held:
            sessions += http_sessions(
                scene.clients, scene.web(version), sources=sources, sessions=200
            )
            sessions += udp_exchanges(
                scene.clients, scene.echo(version), sources=sources, flows=100
            )
            sessions += transfer(
                scene.clients, scene.web(version), source=sources[0], length=2_000_000
            )
            sessions += held.stop()
    return sessions
