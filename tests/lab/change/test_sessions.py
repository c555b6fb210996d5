"""Sessions live through changes of servers and of the formula, on a real kernel."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from remainder.plan import make_plan
from remainder.sources.file import load
from remainder_lab import hold_sessions
from remainder_lab.changing_servers import Calculation, ChangingServers, changing_servers

pytestmark = [pytest.mark.root, pytest.mark.bpf]

SUM3 = "src_ip + dst_ip + dst_port"
THREE = Calculation(servers=["s1", "s2", "s3"])
FOUR = Calculation(servers=["s1", "s2", "s3", "s4"], key=SUM3)


@pytest.fixture(scope="module")
def scene() -> Iterator[ChangingServers]:
    with changing_servers(clients=60) as built:
        built.start_servers()
        yield built


def test_sessions_live_through_a_change_of_servers_and_formula(
    scene: ChangingServers, tmp_path: Path
) -> None:
    servers, balancer = tmp_path / "servers.toml", tmp_path / "balancer.toml"
    for path in (servers, balancer):
        path.write_text(scene.file_text(THREE))
    scene.start_nodes(servers, names=THREE.servers)
    scene.start_nodes(balancer, names=["balancer"])
    before = make_plan(load(balancer))
    with hold_sessions(
        scene.clients, scene.web(), sources=scene.client_addresses[4], interval_s=0.2
    ) as held:
        text = scene.file_text(FOUR, THREE)
        servers.write_text(text)
        scene.start_nodes(servers, names=["s4"])
        scene.wait_until_published(servers, THREE.servers)
        balancer.write_text(text)
        scene.wait_until_published(balancer, ["balancer"])
        time.sleep(1)
        sessions = held.stop()
    after = make_plan(load(balancer))
    moved = [
        item for item in sessions if before.where(item.flow).owner != after.where(item.flow).owner
    ]
    for process in scene.balancers:
        process.terminate()

    assert len(moved) > 20
    assert [] == [item for item in sessions if not item.ok]
    assert [] == [
        item for item in sessions if scene.name_of(before.where(item.flow).owner) != item.server
    ]
