"""A node that does not run; tests/unit/roles/test_change.py has those that do."""

from __future__ import annotations

from pathlib import Path

import pytest

from remainder.kernel import pins
from remainder.observe import state
from remainder.roles.node import detach


def test_detaching_a_node_that_never_ran_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "RUN", tmp_path / "run")
    monkeypatch.setattr(pins, "BPFFS", tmp_path / "bpf")

    assert not detach("lb1")
    assert [] == list(tmp_path.iterdir())
