"""Whatever somebody else puts into the folder in /run, root neither follows nor overwrites it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from remainder.errors import HostError
from remainder.observe import rundir, state
from tests.unit.observe.test_state import noted

PRECIOUS = "precious\n"


@pytest.fixture
def victim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of the machine, and a folder of state files beside it."""
    monkeypatch.setattr(state, "RUN", tmp_path / "run")
    state.RUN.mkdir(0o755)
    path = tmp_path / "shadow"
    path.write_text(PRECIOUS)
    return path


def run() -> None:
    with state.sole_writer("lb1"):
        pass


def test_a_symlink_in_the_place_of_a_state_file_is_replaced_not_followed(victim: Path) -> None:
    path = state.path_of("lb1", "balancer")
    path.symlink_to(victim)
    path.with_name(f"{path.name}.new").symlink_to(victim)
    path.with_suffix(".new").symlink_to(victim)
    state.write(noted("lb1"))

    assert PRECIOUS == victim.read_text()
    assert not path.is_symlink()
    assert noted("lb1") == state.read("lb1", "balancer")


def test_a_state_file_is_not_read_through_a_symlink(victim: Path) -> None:
    state.write(noted("lb1"))
    path = state.path_of("lb1", "balancer")
    path.rename(victim)
    path.symlink_to(victim)

    assert state.read("lb1", "balancer") is None
    with pytest.raises(HostError, match=r"lb1@balancer.json is not safe to use: it is a symlink"):
        state.load("lb1", "balancer")


@pytest.mark.parametrize("link", [Path.symlink_to, Path.hardlink_to])
def test_a_lock_that_is_a_link_to_another_file_is_refused_and_the_file_stays(
    victim: Path, link: Callable[[Path, Path], None]
) -> None:
    """Where the process ID is written, after the file is emptied."""
    link(state.lock_of("lb1"), victim)

    with pytest.raises(HostError, match=r"lb1.lock is not safe to use: .*; remove it") as refused:
        run()

    assert "run-folder-unsafe" == refused.value.id
    assert PRECIOUS == victim.read_text()
    assert state.tended_by("lb1") is None


def test_a_fifo_in_the_folder_holds_nobody_up(victim: Path) -> None:
    os.mkfifo(state.path_of("lb1", "balancer"))
    os.mkfifo(state.lock_of("lb1"))

    assert state.read("lb1", "balancer") is None
    with pytest.raises(HostError, match="not a regular file"):
        run()


def test_a_symlink_in_the_place_of_the_folder_is_refused(victim: Path) -> None:
    elsewhere = victim.with_name("elsewhere")
    state.RUN.rename(elsewhere)
    state.RUN.symlink_to(elsewhere)

    with pytest.raises(HostError, match="it is a symlink; expected a directory; remove it"):
        run()
    with pytest.raises(OSError, match="symlink"):
        state.write(noted("lb1"))

    assert [] == list(elsewhere.iterdir())


def test_a_file_in_the_place_of_the_folder_is_refused(victim: Path) -> None:
    state.RUN.rmdir()
    state.RUN.write_text("")

    with pytest.raises(HostError, match="not a directory"):
        run()


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o775])
def test_a_folder_that_others_can_write_is_refused_in_one_sentence(victim: Path, mode: int) -> None:
    state.write(noted("lb1"))
    state.RUN.chmod(mode)
    looks: list[Callable[[], object]] = [run, state.running, lambda: state.load("lb1", "balancer")]
    for look in looks:
        with pytest.raises(HostError, match=rf"its mode is {mode:04o}, .*; expected 0755; remove"):
            look()
    with pytest.raises(OSError, match="others could plant files there"):
        state.write(noted("lb1"))
    state.remove("lb1", "balancer")

    assert state.path_of("lb1", "balancer").exists()
    assert state.tended_by("lb1") is None


@pytest.mark.root
def test_a_folder_of_another_user_is_refused_in_one_sentence(victim: Path) -> None:
    """With it he could name any file of the machine to be emptied by root."""
    os.chown(state.RUN, 4242, 4242)

    with pytest.raises(HostError, match="run is not safe to use: it belongs to user 4242") as no:
        run()

    assert "run-folder-unsafe" == no.value.id
    assert [] == list(state.RUN.iterdir())


@pytest.mark.root
def test_a_state_file_of_another_user_is_not_believed(victim: Path) -> None:
    state.write(noted("lb1"))
    os.chown(state.path_of("lb1", "balancer"), 4242, 4242)

    with pytest.raises(HostError, match="user 4242 may write it"):
        state.load("lb1", "balancer")


def test_notes_are_for_their_owner_and_group_alone(victim: Path) -> None:
    before = os.umask(0)
    try:
        state.RUN.rmdir()
        state.write(noted("lb1"))
        with state.sole_writer("lb1"):
            lock = stat.S_IMODE(state.lock_of("lb1").stat().st_mode)
    finally:
        os.umask(before)

    assert 0o755 == stat.S_IMODE(state.RUN.stat().st_mode)
    assert 0o640 == stat.S_IMODE(state.path_of("lb1", "balancer").stat().st_mode)
    assert 0o600 == lock


def test_a_write_that_fails_leaves_the_old_content_and_no_half_file(
    victim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state.write(noted("lb1"))

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(OSError, match="No space"), rundir.entered(state.RUN) as at:
        rundir.replace(at, "lb1@balancer.json", b"new")

    assert ["lb1@balancer.json"] == [path.name for path in state.RUN.iterdir()]
    assert noted("lb1") == state.read("lb1", "balancer")


def test_names_in_the_folder_that_no_node_can_have_are_passed_over(victim: Path) -> None:
    for name in ("\x1b[31m@balancer.json", "a b@balancer.json", "lb1@wizard.json", "lb1.json"):
        (state.RUN / name).write_text("{}")
    state.write(noted("lb1"))

    assert [("lb1", "balancer")] == state.running()
