"""Who runs a node is who holds its lock, and asking leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from remainder.errors import HostError
from remainder.kernel import state

OWNER = """
import sys, time
from pathlib import Path
from remainder.kernel import state
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
            pytest.raises(HostError, match=f"run already by process {owner.pid}"),
            state.sole_writer("lb1"),
        ):
            pass
        owner.kill()
    state.lock_of("lb1").write_text(f"{os.getpid()}\n")  # the number is another process's by now

    assert owner.pid == running
    assert state.tended_by("lb1") is None


def test_a_look_at_the_lock_keeps_nobody_from_it() -> None:
    with state.sole_writer("lb1"):
        pass
    descriptor = os.open(state.lock_of("lb1"), os.O_RDONLY)
    try:
        assert state.tended_by("lb1") is None

        with state.sole_writer("lb1"):
            assert os.getpid() == state.tended_by("lb1")
    finally:
        os.close(descriptor)
