"""arm64: what was compiled here loads there, and does there what the model says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from scripts import compile_bpf
from tests.machines import arm, kernels, machine, report
from tests.machines.inside.matrix import rows
from tests.machines.kernels import ARM

pytestmark = [
    pytest.mark.machines, pytest.mark.release, pytest.mark.slow, pytest.mark.timeout(3600),
]  # fmt: skip

BOOT_LIMIT_S = 3500
FRAMES = 12
"""For each row; a processor that is translated is slow."""

COMMAND = f"""
set -e
export {arm.ENVIRONMENT}
python3 -m tests.machines.inside.loads /run/job/loads.jsonl
python3 -m tests.machines.inside.agreement /run/job/agreement.json {FRAMES}
"""


def compiler() -> str:
    """The version of what compiled this tree's objects."""
    manifest = compile_bpf.SOURCES / "remainder" / "bpf" / compile_bpf.MANIFEST
    said = json.loads(manifest.read_text(encoding="utf-8"))["compiler"]
    return re.sub(r"^\D*", "", said)


def test_the_programs_load_on_arm64_and_agree_with_the_model(tmp_path: Path) -> None:
    kernel = kernels.kernel(ARM)
    done = machine.run(kernel, tmp_path, COMMAND, limit_s=BOOT_LIMIT_S, root=arm.root())

    assert done.status == 0, done.output[-4000:]
    lines = (tmp_path / "loads.jsonl").read_text(encoding="utf-8").splitlines()
    loads = [json.loads(line) for line in lines]
    failed = {load["row"]: load["failed"] for load in loads if load["failed"]}
    answer = json.loads((tmp_path / "agreement.json").read_text(encoding="utf-8"))
    compared = sum(answer["compared"].values())
    question = f"{report.LOADS}, clang {compiler()}"
    report.note(question, kernel, f"{len(loads) - len(failed)} of {len(loads)}")
    report.note(report.AGREEMENT, kernel, f"{len(answer['differ'])} of {compared:,}")

    assert {} == failed
    assert [row.name for row in rows()] == [load["row"] for load in loads]
    assert [] == answer["differ"]
    assert {"balancer", "member", "sender"} == set(answer["compared"])
