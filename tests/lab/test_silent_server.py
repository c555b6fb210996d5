"""A server that falls silent keeps its share and its last MAC, also when the kernel gives it up."""

from __future__ import annotations

import time
from collections.abc import Collection
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

import pytest

from remainder.plan import Plan, make_plan
from remainder.sources.file import load
from remainder_lab import OneService, Session, flow_of, http_sessions
from remainder_lab.numbering import server_address
from tests.lab.balancing import status
from tests.lab.tap import Seen, Tap

pytestmark = [pytest.mark.root, pytest.mark.bpf]

SILENT: Final = "s2"
NUD_FAILED: Final = 0x20
HASTE: Final = {
    "retrans_time_ms": 50,
    "interval_probe_time_ms": 100,
    "base_reachable_time_ms": 500,
    "delay_first_probe_time": 1,
    "ucast_solicit": 1,
    "mcast_solicit": 1,
}
"""The kernel notices within seconds that nobody answers, and says so again and again."""


def test_a_server_that_the_kernel_gave_up_gets_its_packets_at_its_last_mac(
    scene: OneService, tmp_path: Path
) -> None:
    """Its neighbour entries fail in both families; a new file is published; it comes back."""
    scene.balancer.sysctls(
        (f"net.{family}.neigh.eth0.{name}", value)
        for family in ("ipv4", "ipv6")
        for name, value in HASTE.items()
    )
    path = tmp_path / "r.toml"
    path.write_text(scene.config_text(key="src_ip"))
    process = scene.start_balancer(path)
    silent = scene.servers[SILENT]
    mac = silent.mac_bytes("eth0")
    scene.segment.silence(silent)
    try:
        wait_until_failed(scene)
        failed = under_tap(scene, path, mac)
        path.write_text(scene.config_text(key="src_ip + dst_port"))
        wait_until_published(scene, path)
        wait_until_failed(scene)
        reloaded = under_tap(scene, path, mac)
        looked = status(scene)
    finally:
        scene.segment.hear(silent)
    again = sessions_of(scene)
    process.terminate()
    macs = {
        server["mac"]
        for service in looked["services"]
        for server in service["servers"]
        if server["name"] == SILENT
    }

    assert_only_the_silent_servers_clients_wait(*failed)
    assert_only_the_silent_servers_clients_wait(*reloaded)
    assert {silent.mac("eth0")} == macs
    assert 0 == looked["outcomes"]["unresolved"]["packets"]
    assert [] == [session for session in again if not session.ok]


Tapped = tuple[Plan, list[Session], Collection[Seen]]


def under_tap(scene: OneService, path: Path, mac: bytes) -> Tapped:
    """Sessions of both families, and what the balancer sent to a MAC meanwhile."""
    with Tap(scene.segment.host, scene.balancer.name) as tap:
        sessions = sessions_of(scene, timeout_s=2.0)
        frames = [frame for frame in tap.frames() if not frame.sent and frame.destination == mac]
    return make_plan(load(path)), sessions, frames


def sessions_of(scene: OneService, *, timeout_s: float = 5.0) -> list[Session]:
    return [
        session
        for version in scene.versions
        for session in http_sessions(
            scene.clients,
            scene.web(version),
            sources=scene.client_addresses[version],
            sessions=80,
            concurrency=160,
            timeout_s=timeout_s,
        )
    ]


def assert_only_the_silent_servers_clients_wait(
    plan: Plan, sessions: list[Session], frames: Collection[Seen]
) -> None:
    """The key reads no port of the client, so its address says whose it is."""
    given = {
        (session.flow.src_ip, session.flow.dst_ip)
        for session in sessions
        if plan.where(session.flow).owner == SILENT
    }
    flows = [flow_of(frame.start) for frame in frames]
    sent = {(flow.src_ip, flow.dst_ip) for flow in flows if flow and flow.protocol == 6}

    assert 160 == len(sessions)
    assert {4, 6} == {client.version for client, _ in given}
    assert given == sent
    assert given == {
        (session.flow.src_ip, session.flow.dst_ip) for session in sessions if not session.ok
    }


def wait_until_failed(scene: OneService) -> None:
    """Until the kernel says FAILED of the silent server's entry, in each family."""
    failed: set[int] = set()
    deadline_s = time.monotonic() + 30
    while failed != set(scene.versions):
        assert time.monotonic() < deadline_s, f"FAILED was seen of {failed} alone"
        states = scene.balancer.netlink(_states)
        failed |= {
            version
            for version in scene.versions
            if states.get(server_address(SILENT, version), 0) & NUD_FAILED
        }
        time.sleep(0.01)
    time.sleep(0.3)  # whoever listens to the kernel has heard it by now


def wait_until_published(scene: OneService, path: Path) -> None:
    fingerprint = make_plan(load(path)).fingerprint
    deadline_s = time.monotonic() + 15
    while status(scene)["fingerprint"]["tables"] != fingerprint:
        assert time.monotonic() < deadline_s
        time.sleep(0.1)


def _states(ip: Any) -> dict[str, int]:
    (index,) = ip.link_lookup(ifname="eth0")
    return {
        str(ip_address(message.get("dst"))): message["state"]
        for message in ip.get_neighbours(ifindex=index)
        if message.get("dst")
    }
