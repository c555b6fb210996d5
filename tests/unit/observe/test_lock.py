"""One process at a time runs a node, though its file be removed, and nobody else can claim to."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from remainder.errors import HostError
from remainder.observe import lock, rundir, state
from tests.unit.observe.test_state import OWNER

SQUATTER = """
import fcntl, os, sys, time
os.setresuid({users})
mark = os.memfd_create("mine")
fcntl.lockf(mark, fcntl.LOCK_EX, 1, int(sys.argv[1]))
print("marked", flush=True)
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def rooms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A place that no node of this machine uses."""
    monkeypatch.setattr(state, "RUN", tmp_path / "run")


@contextmanager
def started(code: str, argument: object) -> Iterator[subprocess.Popen[str]]:
    """A process that has said its first line."""
    command = [sys.executable, "-c", code, str(argument)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def place() -> int:
    with rundir.entered(state.RUN, make=True) as at:
        return lock._place(at, state.RUN, "lb1")


def run() -> None:
    with state.sole_writer("lb1"):
        pass


@pytest.mark.parametrize("removed", ["file", "folder", "file and made again"])
def test_removing_the_lock_does_not_let_a_second_process_in(removed: str) -> None:
    with started(OWNER, state.RUN) as owner:
        state.lock_of("lb1").unlink()
        if removed == "folder":
            state.RUN.rmdir()
        elif removed == "file and made again":
            state.lock_of("lb1").touch(0o600)
        by_name = state.tended_by("lb1") if removed != "folder" else owner.pid

        with pytest.raises(HostError, match=f"already run by process {owner.pid};") as refused:
            run()

        assert "node-runs-already" == refused.value.id
        assert owner.pid == by_name == state.tended_by("lb1")
        assert not state.lock_of("lb1").exists()  # what was refused leaves nothing

    assert state.tended_by("lb1") is None
    run()


def test_a_process_of_another_node_is_no_hindrance() -> None:
    with started(OWNER, state.RUN), state.sole_writer("lb2"):
        assert os.getpid() == state.tended_by("lb2")


@pytest.mark.root
@pytest.mark.parametrize("users", ["4242, 4242, 4242", "4242, 0, 0"])
def test_another_user_cannot_claim_to_run_a_node(users: str) -> None:
    """Nor can a set-user-ID program that he has called."""
    with started(SQUATTER.format(users=users), place()) as squatter:
        found = [line for line in lock.LOCKS.read_text().splitlines() if str(place()) in line]

        assert [str(squatter.pid)] == [line.split()[4] for line in found]
        assert state.tended_by("lb1") is None
        run()


def test_where_the_list_of_locks_is_hidden_the_file_still_tells(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(lock, "LOCKS", tmp_path / "absent")
    with started(OWNER, state.RUN) as owner:
        assert owner.pid == state.tended_by("lb1")

        with pytest.raises(HostError, match=f"already run by process {owner.pid};"):
            run()


def test_a_waiting_lock_and_a_read_lock_are_no_marks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    at, own = place(), os.getpid()
    monkeypatch.setattr(lock, "LOCKS", tmp_path / "locks")
    lock.LOCKS.write_text(
        f"1: POSIX  ADVISORY  READ  {own} 00:01:9 {at} {at}\n"
        f"2: -> POSIX  ADVISORY  WRITE {own} 00:01:9 {at} {at}\n"
        f"3: FLOCK  ADVISORY  WRITE {own} 00:01:9 {at} {at}\n"
        f"4: POSIX  ADVISORY  WRITE {own} 00:01:9 0 EOF\n"
        f"5: OFDLCK ADVISORY  WRITE -1 00:01:9 {at} {at}\n"
    )

    assert [] == list(lock._marks(at))

    lock.LOCKS.write_text(f"1: POSIX  ADVISORY  WRITE {own} 00:01:9 {at} {at}\n")

    assert [own] == list(lock._marks(at))


def test_a_kernel_without_nameless_files_is_refused_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(*_: object) -> int:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "memfd_create", refused)
    with pytest.raises(HostError, match=r"refuses memfd_create, .*; allow it"):
        run()

    assert [] == list(state.RUN.iterdir())


def test_two_that_start_at_once_do_not_both_get_in() -> None:
    """Though each has a lock file of its own, since somebody removes it all the time."""
    race = """
import sys, time
from pathlib import Path
from remainder.errors import HostError
from remainder.observe import state
state.RUN = Path(sys.argv[1])
inside = state.RUN / f"inside"
print("starts", flush=True)
entered = 0
deadline = time.monotonic() + 20
while entered < 40 and time.monotonic() < deadline:
    try:
        with state.sole_writer("lb1"):
            inside.touch(exist_ok=False)
            state.lock_of("lb1").unlink(missing_ok=True)
            time.sleep(0.001)
            inside.unlink()
            entered += 1
    except HostError:
        time.sleep(0.0005)
print(entered, flush=True)
"""
    place()
    with started(race, state.RUN) as one, started(race, state.RUN) as other:
        told = [process.communicate(timeout=60)[0] for process in (one, other)]

    assert ["40", "40"] == [text.strip() for text in told]
