"""What ``remainder lab`` says, runs, and takes away."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from remainder.kernel.pins import BPFFS
from remainder_lab.namespaces import FOLDER
from remainder_lab.patience import patient

pytestmark = [pytest.mark.root, pytest.mark.bpf]

LAB = [sys.executable, "-m", "remainder", "lab", "one-service"]


def left_by(pid: int) -> list[str]:
    """Namespaces, pins, notes and processes of a lab."""
    places = (FOLDER, BPFFS / "remainder", Path("/run/remainder"))
    found = [str(path) for place in places for path in place.glob(f"rmd-{pid}-*")]
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"=rmd-{pid}-".encode() in path.read_bytes():
                found.append(str(path))
        except OSError:
            continue
    return found


def test_a_closed_terminal_takes_the_lab_away(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*LAB, "--exec", "echo up; sleep 60"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        text=True,
    ) as lab:
        assert lab.stdout is not None
        said = lab.stdout.readline()
        stood = left_by(lab.pid)
        lab.send_signal(signal.SIGHUP)
        lab.wait(20)

    assert "up\n" == said
    assert stood
    assert [] == left_by(lab.pid)
    assert [] == list(tmp_path.iterdir())
    assert 130 == lab.returncode


def test_the_next_lab_takes_away_what_a_killed_one_left(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*LAB, "--exec", "echo up; sleep 60"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        text=True,
    ) as lab:
        assert lab.stdout is not None
        lab.stdout.readline()
        lab.kill()
        lab.wait(20)
        stood = left_by(lab.pid)
        subprocess.run(
            [*LAB, "--exec", "true"], capture_output=True, timeout=patient(60), check=True
        )

    assert stood
    assert [] == left_by(lab.pid)


def test_a_single_command_is_alone_with_what_it_says() -> None:
    """The banner speaks of a shell, which there is not."""
    done = subprocess.run(
        [*LAB, "--exec", "echo up"], capture_output=True, text=True, timeout=patient(60), check=True
    )

    assert ("up\n", "") == (done.stdout, done.stderr)


def pid_of_the_balancer(lab_pid: int) -> int:
    (path,) = Path("/run/remainder").glob(f"rmd-{lab_pid}-*@balancer.json")
    return int(json.loads(path.read_text())["pid"])


def test_the_banner_says_how_to_start_a_killed_balancer_again(tmp_path: Path) -> None:
    """And where its logs are; the one started by hand ends with the lab too."""
    with subprocess.Popen(
        LAB,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"TMPDIR": str(tmp_path), "SHELL": "/bin/sh"},
        text=True,
        bufsize=1,
    ) as lab:
        assert lab.stdin is not None
        assert lab.stdout is not None
        assert lab.stderr is not None
        banner: dict[str, str] = {}
        while "other hosts" not in banner:
            text = lab.stderr.readline()
            banner[text[2:16].strip()] = text[16:].strip()
        killed = pid_of_the_balancer(lab.pid)
        os.kill(killed, signal.SIGKILL)
        lab.stdin.write(f"{banner['after kill -9']}\n")
        (words,) = tmp_path.glob("*/*.log")
        deadline_s = time.monotonic() + patient(20)
        while words.read_text().count("ready after") < 2 and time.monotonic() < deadline_s:
            time.sleep(0.05)
        again = pid_of_the_balancer(lab.pid)
        lab.stdin.write(f"{banner['logs']}\n")
        lab.stdin.close()
        said = lab.stdout.read()
        lab.wait(30)

    assert killed != again
    assert 2 == said.count("ready after")
    assert 0 == lab.returncode
    assert [] == left_by(lab.pid)
    assert [] == list(tmp_path.iterdir())


def test_the_balancer_of_a_lab_runs_as_that_of_the_demo_does() -> None:
    done = subprocess.run(
        [*LAB, "--exec", "remainder status"],
        capture_output=True,
        text=True,
        timeout=patient(60),
        check=True,
    )

    assert "balancer on eth0 (native XDP)" in done.stdout
