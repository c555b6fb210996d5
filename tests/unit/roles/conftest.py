"""What tests of the roles share: a machine in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from remainder.kernel import refusal
from remainder.observe import state
from tests.unit.roles.machine import Machine


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr(state, "RUN", tmp_path / "run")
    monkeypatch.setattr(refusal, "refuse_old_kernel", lambda _: None)
    return Machine(tmp_path)
