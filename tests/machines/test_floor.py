"""A kernel that is too old is called that, in one sentence that names the one needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.machines import kernels, machine, report
from tests.machines.kernels import TOO_OLD

pytestmark = [
    pytest.mark.machines, pytest.mark.release, pytest.mark.slow, pytest.mark.timeout(900),
]  # fmt: skip

COMMAND = """
.venv/bin/remainder run examples/web.toml --node lb1 --interface lo
"""


def test_a_kernel_that_is_too_old_is_named_with_the_one_needed(tmp_path: Path) -> None:
    kernel = kernels.kernel(TOO_OLD)
    done = machine.run(kernel, tmp_path, COMMAND, limit_s=600)
    lines = [line for line in done.output.splitlines() if line.startswith("remainder: ")]
    said = f"refused: {report.sentence(lines[-1])}" if lines else done.output[-300:]
    report.note("a balancer", kernel, said)

    assert done.status not in (0, 124), done.output
    assert 1 == len(lines), done.output
    assert "Traceback" not in done.output
    assert "6.1" in lines[0]
    assert kernel.name in lines[0]
