"""A node's roles change together or not at all, on a real kernel (law 13)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from remainder_lab import OneService, Running, http_sessions
from remainder_lab.host import python_module

pytestmark = [pytest.mark.root, pytest.mark.bpf]

BACK = """
[[return_path]]
name = "back"
key = "src_ip"
table = "modulo"
others = true
routers = [{{ name = "r1", address = "192.0.2.1" }}]
senders = [{{ name = "{node}", interface = "{interface}" }}]
"""
BALANCER = '\n[[balancer]]\nname = "{node}"\ninterface = "eth0"\n'


def command(scene: OneService, path: Path) -> list[str]:
    return python_module("remainder", "run", str(path), "--node", scene.node)


def start(scene: OneService, path: Path) -> Running:
    """Without --interface, which names one role's alone."""
    process = scene.balancer.popen(command(scene, path), title="run")
    scene.balancers.append(process)
    process.wait_for("ready", timeout_s=30)
    return process


def nodes(scene: OneService) -> list[dict[str, Any]]:
    """What runs, but for what goes on counting."""
    done = scene.balancer.run(
        [sys.executable, "-m", "remainder", "status", "--node", scene.node, "--json"]
    )
    found = json.loads(done.stdout)["nodes"]
    kept = ("role", "published", "fingerprint", "interface", "mode")
    return [{name: node[name] for name in kept} for node in found]


def text(scene: OneService, *, servers: int, sender: str | None = None) -> str:
    names = list(scene.servers)[:servers]
    weights = {name: int(name in names) for name in scene.servers}
    told = scene.config_text(weights=weights) + BALANCER.format(node=scene.node)
    return told + (BACK.format(node=scene.node, interface=sender) if sender else "")


def answered(scene: OneService) -> bool:
    sessions = http_sessions(
        scene.clients, scene.web(4), sources=scene.client_addresses[4], sessions=20
    )
    return all(session.ok for session in sessions)


def test_a_file_that_one_role_cannot_have_is_not_published_by_halves(
    scene: OneService, tmp_path: Path
) -> None:
    """It adds a server for one role, and for the other an interface that does not exist."""
    path = tmp_path / "r.toml"
    path.write_text(text(scene, servers=3))
    process = start(scene, path)
    before = nodes(scene)
    path.write_text(text(scene, servers=4, sender="eth9"))
    process.wait_for("warning: the new file is refused")
    refused = nodes(scene)
    path.write_text(text(scene, servers=4, sender="eth0"))
    process.wait_for("published")
    after = nodes(scene)

    assert 1 == len(before)
    assert before == refused
    assert ["balancer", "sender"] == sorted(node["role"] for node in after)
    assert before[0]["fingerprint"]["tables"] != after[0]["fingerprint"]["tables"]
    assert answered(scene)


def test_a_start_that_fails_leaves_what_it_would_have_taken_over(
    scene: OneService, tmp_path: Path
) -> None:
    """And so does a start on another interface by mistake."""
    path = tmp_path / "r.toml"
    path.write_text(text(scene, servers=3))
    start(scene, path).kill()
    before = nodes(scene)
    path.write_text(text(scene, servers=4, sender="eth9"))
    second_role = scene.balancer.run(command(scene, path))
    path.write_text(text(scene, servers=4))
    missing = scene.balancer.run([*command(scene, path), "--interface", "eth9"])
    elsewhere = scene.balancer.run([*command(scene, path), "--interface", "lo"])

    assert [1, 1, 1] == [done.returncode for done in (second_role, missing, elsewhere)]
    assert before == nodes(scene)
    assert answered(scene)
