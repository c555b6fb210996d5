"""What a host lacks is said in a sentence, before any test fails for want of it."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from scripts import host

HOST: Final = Path(__file__).resolve().parents[2] / "scripts" / "host.py"

ON_ONE_CPU: Final = f"""
import os, runpy, sys
os.sched_setaffinity(0, {{min(os.sched_getaffinity(0))}})
sys.argv = ["host.py", "realtime"]
runpy.run_path({str(HOST)!r}, run_name="__main__")
"""


def test_one_cpu_is_too_few_for_a_flood() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ON_ONE_CPU], capture_output=True, text=True, check=False
    )

    assert (1, "") == (done.returncode, done.stderr)
    assert "this takes two CPUs, and this process may use one; give it more\n" == done.stdout


def test_a_kernel_that_is_too_old_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "lacks_root", lambda: None)
    monkeypatch.setattr(platform, "release", lambda: "5.15.0-119-generic")

    assert (
        "the kernel (5.15.0-119-generic) is too old, Linux 6.1 or newer is needed; "
        "Debian 12, Ubuntu 24.04 and RHEL 10 have one"
    ) == host.lacks_bpf()


def test_what_it_is_not_asked_for_it_does_not_know() -> None:
    done = subprocess.run(
        [sys.executable, HOST, "money"], capture_output=True, text=True, check=False
    )

    assert 2 == done.returncode
    assert "usage: host.py root|bpf|machines|realtime\n" == done.stderr
