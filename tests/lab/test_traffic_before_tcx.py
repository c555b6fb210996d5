"""Real sessions where tcx is missing, as before Linux 6.6: members and senders work as ever."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from remainder.observe.report import report
from remainder_lab import SCENES, balanced, hold_sessions
from remainder_lab.acts_cluster import show_selection
from remainder_lab.acts_return import show_sessions
from remainder_lab.cluster import Cluster
from remainder_lab.host import python_module
from remainder_lab.return_path import return_path
from tests.lab.before_tcx import command

pytestmark = [pytest.mark.root, pytest.mark.bpf]


@pytest.fixture(autouse=True)
def _no_tcx(monkeypatch: pytest.MonkeyPatch) -> None:
    """The nodes of a scene meet an older kernel."""

    def module(name: str, *arguments: str) -> list[str]:
        return (
            command("clsact", *arguments)
            if name == "remainder"
            else python_module(name, *arguments)
        )

    monkeypatch.setattr(balanced, "python_module", module)


def test_answers_go_through_the_router_that_was_asked_and_outlive_the_process(
    tmp_path: Path,
) -> None:
    """kill -9 on every node under traffic: nothing is lost, and the next start takes over."""
    file = tmp_path / "r.toml"
    with return_path() as scene:
        scene.start_servers()
        file.write_text(scene.config_text(mode="native"))
        scene.start_nodes(file)
        scene.raise_firewalls()
        with hold_sessions(
            scene.clients,
            scene.web(),
            sources=scene.client_addresses[4],
            sessions=50,
            interval_s=0.2,
        ) as held:
            for name in scene.nodes:
                scene.running(name).kill()
            alone = show_sessions(scene, file)
            again = scene.start_nodes(file)
            time.sleep(0.5)
            sessions = held.stop()
        modes = {report(host.namespace, "sender")["mode"] for host in scene.servers.values()}
        taken_over = show_sessions(scene, file)

    assert {"clsact"} == modes
    assert () == alone.broken + alone.strayed
    assert () == taken_over.broken + taken_over.strayed
    assert 50 == len(sessions)
    assert [] == [session for session in sessions if not session.ok]
    assert not any("starting afresh" in line for item in again.values() for line in item.lines)


def test_members_keep_what_is_theirs_and_their_stacks_take_it(tmp_path: Path) -> None:
    """In native mode on a veth the companion is what makes TCP work."""
    file = tmp_path / "r.toml"
    with SCENES["cluster"]() as scene:
        assert isinstance(scene, Cluster)
        scene.start_servers()
        file.write_text(scene.config_text(mode="native"))
        scene.start_nodes(file)
        selected = show_selection(scene, file, tcp=200, udp=50)
        ways = {
            host.run(["tc", "qdisc", "show", "dev", "eth0", "clsact"]).stdout.split()[1]
            for host in scene.members.values()
        }

    assert {"clsact"} == ways
    assert () == selected.broken + selected.misdirected
    assert {} == selected.torn
    assert all(selected.kept.values())
