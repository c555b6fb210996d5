"""What a host lacks is said in a sentence, before any test fails for want of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

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


def test_what_it_is_not_asked_for_it_does_not_know() -> None:
    done = subprocess.run(
        [sys.executable, HOST, "money"], capture_output=True, text=True, check=False
    )

    assert 2 == done.returncode
    assert "usage: host.py root|bpf|machines|realtime\n" == done.stderr
