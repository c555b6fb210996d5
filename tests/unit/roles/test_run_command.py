"""``remainder run``, but for the data plane: what it leaves when it is stopped."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
from click.testing import CliRunner

from remainder.cli import run
from remainder.kernel import pins
from remainder.observe import state
from remainder.roles.node import RunningNode
from tests.unit.roles.machine import Machine, balancer, web


@pytest.mark.parametrize(("options", "left"), [([], set()), (["--keep"], {("n", "balancer")})])
def test_a_stop_before_it_is_ready_detaches_like_any_other(
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    left: set[tuple[str, str]],
) -> None:
    machine.write(web(11), balancer())
    node = machine.start()

    def stopped(_: RunningNode) -> list[str]:
        raise KeyboardInterrupt

    monkeypatch.setattr(RunningNode, "start", lambda _: node)
    monkeypatch.setattr(run, "missing_capabilities", list)
    monkeypatch.setattr(run, "before_start", lambda: None)
    monkeypatch.setattr(run, "_unassigned_vips", stopped)
    monkeypatch.setattr(pins, "ensure_bpffs", lambda: False)
    monkeypatch.setattr(state, "sole_writer", lambda _: nullcontext())
    result = CliRunner().invoke(run.command, [str(machine.file), "--node", "n", *options])

    assert 0 == result.exit_code
    assert left == set(machine.kernel.planes)
