"""The process of a node as the rest of the machine sees it: its locks, and its service manager."""

from __future__ import annotations

import signal
import socket
import sys
from pathlib import Path

import pytest

from remainder.observe import state
from remainder_lab import OneService
from remainder_lab.patience import patient
from tests.lab.balancing import balancing, status

pytestmark = [pytest.mark.root, pytest.mark.bpf]


def test_a_lock_that_is_removed_keeps_a_second_process_out_and_tells_who_runs(
    scene: OneService, tmp_path: Path
) -> None:
    """Else one of two would publish into what the other, when it ends, takes away."""
    remainder = [sys.executable, "-m", "remainder"]
    with balancing(scene, tmp_path / "r.toml", scene.config_text()):
        state.lock_of(scene.node).unlink()
        second = scene.balancer.run(
            [*remainder, *("run", str(tmp_path / "r.toml"), "--node", scene.node)]
        )
        detached = scene.balancer.run([*remainder, "detach", "--node", scene.node])
        process = scene.balancers[-1].pid
        seen = status(scene)

    assert (1, 1) == (second.returncode, detached.returncode)
    assert f"is already run by process {process}; stop that one first" in second.stderr
    assert f"is run by process {process}; stop that one first" in detached.stderr
    assert process == seen["process"]
    assert seen["attached"]


def test_a_manager_hears_that_it_is_ready_alive_reloads_and_stops(
    scene: OneService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(patient(20))

        def hear(until: str) -> None:
            while not told or not told[-1].startswith(until):
                told.append(manager.recv(4096).decode())

        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "1000000")
        with balancing(scene, tmp_path / "r.toml", scene.config_text()):
            process = scene.balancers[-1]
            hear("READY=1")
            for _ in range(3):
                told.append("")
                hear("WATCHDOG=1")
            process.send_signal(signal.SIGHUP)
            hear("RELOADING=1")
            hear("READY=1")
            (tmp_path / "r.toml").write_text("nonsense")
            process.send_signal(signal.SIGHUP)
            hear("STATUS=file rejected, still running the previous one: ")
            hear("READY=1")
            process.send_signal(signal.SIGTERM)
            hear("STOPPING=1")
            process.wait(20)

    assert told[0].startswith("STATUS=balancer on eth0, tables ")
    assert "READY=1" == told[1]
