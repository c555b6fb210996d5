"""Debian as it is installed, booted by its systemd: the commands of the README, and the unit."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.machines import kernels, report, stock
from tests.machines.machine import Finished
from tests.machines.stock import DEBIANS, HOME

pytestmark = [
    pytest.mark.machines, pytest.mark.release, pytest.mark.slow, pytest.mark.timeout(14_400),
]  # fmt: skip

LIMIT_S = 14_000


def ran(name: str, job: Path, command: str) -> Finished:
    """A command in a booted Debian, in the tree."""
    which, _ = DEBIANS[name]
    root = stock.root(name)
    script = f"cd {HOME} && {command}"
    return stock.run(kernels.kernel(which), root, job, script, limit_s=LIMIT_S)


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
    report.note("the unit under systemd", kernels.kernel(DEBIANS[name][0]), "works")

    assert {
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
    } == found, f"{said}\n{journal}"


@pytest.mark.parametrize("name", DEBIANS)
def test_the_demo_plays_to_its_last_tick(tmp_path: Path, name: str) -> None:
    done = ran(name, tmp_path, "./demo --html /tmp/demo.html")
    ticks = len(re.findall(r"^ *✓", done.output, re.MULTILINE))
    report.note("./demo", kernels.kernel(DEBIANS[name][0]), f"{ticks} ticks")

    assert done.status == 0, done.output[-4000:]
    assert "✗" not in done.output


@pytest.mark.parametrize("name", DEBIANS)
def test_the_programs_pass_their_tests_with_nothing_skipped(tmp_path: Path, name: str) -> None:
    done = ran(name, tmp_path, "./test bpf -p no:cacheprovider")
    found = re.search(r"(\d+) passed", done.output)
    report.note(
        "./test bpf", kernels.kernel(DEBIANS[name][0]), f"{found[1] if found else 0} passed"
    )

    assert done.status == 0, done.output[-4000:]
    assert "skipped" not in done.output.splitlines()[-1]
