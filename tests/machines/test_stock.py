"""Debian as it is installed, booted by its systemd: the commands of the README, and the unit.

The commands run with the newest kernel too, in this host's own files.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from remainder_lab import scenes
from tests.machines import kernels, machine, report, stock
from tests.machines.kernels import Kernel
from tests.machines.machine import Finished
from tests.machines.stock import DEBIANS

pytestmark = [
    pytest.mark.machines, pytest.mark.release, pytest.mark.slow, pytest.mark.timeout(14_400),
]  # fmt: skip

LIMIT_S = 14_000

UNIT = {
    "start": "",
    "running": [True, True, True],
    "reload": "",
    "published": True,
    "attached while nobody runs": True,
    "another process": True,
    "ready again": True,
    "the same program": True,
    "stop": "",
    "state": "inactive",
    "kept": True,
    "gone": True,
}
"""Step → what is found (inside/unit.py)."""

NEWEST = "newest"
PLACES = (*DEBIANS, NEWEST)
SCENES = [*scenes.SCENES]
DEMO = "./demo --html /tmp/demo.html"
CASES = 40
TEST = f"REMAINDER_CASES={CASES} ./test bpf -p no:cacheprovider"
"""With fewer random cases than usual, each of which loads a program; no test is left out."""


def kernel_of(name: str) -> Kernel:
    return kernels.kernel(NEWEST if name == NEWEST else DEBIANS[name][0])


def ran(name: str, job: Path, command: str) -> Finished:
    """A command in a booted Debian, in the tree; or in this host's files."""
    kernel = kernel_of(name)
    if name == NEWEST:
        return machine.run(kernel, job, command, limit_s=LIMIT_S)
    return stock.run(name, kernel, job, command, limit_s=LIMIT_S)


def minutes(done: Finished) -> str:
    return f"in {(done.total_s - done.boot_s) / 60:.0f} minutes"


@pytest.mark.parametrize("name", DEBIANS)
def test_the_shipped_unit_starts_publishes_survives_and_stops(tmp_path: Path, name: str) -> None:
    (tmp_path / "unit.py").write_text(
        (Path(__file__).parent / "inside" / "unit.py").read_text(encoding="utf-8")
    )
    done = ran(name, tmp_path, "python3 /job/unit.py")
    steps = [json.loads(line) for line in done.output.splitlines() if line.startswith("{")]
    found = {step["step"]: step["found"] for step in steps}
    journal = found.pop("journal", done.output)
    said = found.pop("detach", "")
    wrong = [step for step, expected in UNIT.items() if found.get(step) != expected]
    report.note(
        "the unit under systemd",
        kernel_of(name),
        f"**fails: {', '.join(wrong)}**" if wrong else f"{len(UNIT)} of {len(UNIT)} steps",
    )

    assert UNIT == found, f"{said}\n{journal}"


@pytest.mark.parametrize("name", PLACES)
def test_the_demo_plays_to_its_last_tick(tmp_path: Path, name: str) -> None:
    done = ran(name, tmp_path, DEMO)
    ticks = len(re.findall(r"^ *✓", done.output, re.MULTILINE))
    crosses = len(re.findall(r"^ *✗", done.output, re.MULTILINE))
    found = f"{ticks} ticks, {crosses} crosses, {minutes(done)}"
    report.note("`./demo`", kernel_of(name), found if done.status == 0 else f"**fails: {found}**")

    assert done.status == 0, done.output[-4000:]
    assert 0 == crosses
    assert SCENES == re.findall(r"^([a-z-]+) ─+$", done.output, re.MULTILINE)


@pytest.mark.parametrize("name", PLACES)
def test_the_programs_pass_their_tests_with_nothing_skipped(tmp_path: Path, name: str) -> None:
    done = ran(name, tmp_path, TEST)
    last = (done.output.splitlines() or [""])[-1]
    counts = ", ".join(re.findall(r"\d+ (?:passed|failed|skipped|errors?)", last))
    found = f"{counts or '**no end**'}, {minutes(done)}"
    report.note(f"`REMAINDER_CASES={CASES} ./test bpf`", kernel_of(name), found)

    assert done.status == 0, done.output[-4000:]
    assert "passed" in counts
    assert "skipped" not in counts
