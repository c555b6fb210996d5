"""Who runs a node is who holds its lock, and asking leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from remainder.errors import HostError
from remainder.observe import state

OWNER = """
import sys, time
from pathlib import Path
from remainder.observe import state
state.RUN = Path(sys.argv[1])
with state.sole_writer("lb1"):
    print("holds it", flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def rooms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A place that no node of this machine uses."""
    monkeypatch.setattr(state, "RUN", tmp_path / "run")


def test_who_holds_the_lock_runs_the_node_until_it_is_killed() -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(state.RUN)], stdout=subprocess.PIPE, text=True
    )
    with owner:
        assert owner.stdout is not None
        owner.stdout.readline()
        running = state.tended_by("lb1")
        with (
            pytest.raises(HostError, match=f"already run by process {owner.pid}"),
            state.sole_writer("lb1"),
        ):
            pass
        owner.kill()
    state.lock_of("lb1").write_text(f"{os.getpid()}\n")  # the number is another process's by now

    assert owner.pid == running
    assert state.tended_by("lb1") is None


def test_a_look_at_the_lock_keeps_nobody_from_it() -> None:
    state.RUN.mkdir()
    descriptor = os.open(state.lock_of("lb1"), os.O_RDONLY | os.O_CREAT, 0o600)
    try:
        assert state.tended_by("lb1") is None

        with state.sole_writer("lb1"):
            assert os.getpid() == state.tended_by("lb1")
    finally:
        os.close(descriptor)


def test_who_ends_takes_the_lock_away_whatever_the_end() -> None:
    def fail() -> None:
        with state.sole_writer("lb1"):
            raise HostError("no such interface")

    with state.sole_writer("lb1"):
        assert state.lock_of("lb1").exists()

    assert not state.lock_of("lb1").exists()

    with pytest.raises(HostError, match="no such interface"):
        fail()

    assert not state.lock_of("lb1").exists()


def test_of_many_who_come_and_go_one_at_a_time_is_in() -> None:
    """Also when the file is removed under those who wait for it."""
    inside: list[int] = []
    met: list[int] = []

    def come_and_go() -> None:
        came = 0
        while came < 100:
            try:
                with state.sole_writer("lb1"):
                    inside.append(came)
                    met.append(len(inside))
                    inside.pop()
                    came += 1
            except HostError:
                continue

    visitors = [threading.Thread(target=come_and_go) for _ in range(3)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join(30)

    assert [1] * 300 == met
    assert not state.lock_of("lb1").exists()
