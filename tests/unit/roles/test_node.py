"""A node: what can be told of one that does not run, and that its roles change together."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from remainder.errors import HostError
from remainder.kernel import pins
from remainder.observe import state
from remainder.roles import node
from remainder.roles.node import detach


def test_detaching_a_node_that_never_ran_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "RUN", tmp_path / "run")
    monkeypatch.setattr(pins, "BPFFS", tmp_path / "bpf")

    assert not detach("lb1")
    assert [] == list(tmp_path.iterdir())


def _role(name: str, asked: list[str], refusal: str | None = None) -> Any:
    """Of a node that runs; it tells what was wanted of it."""

    def program_for(_: object) -> SimpleNamespace:
        asked.append(f"{name} needs")
        if refusal is not None:
            raise HostError(refusal)
        return SimpleNamespace(close=lambda: asked.append("closed"))

    return SimpleNamespace(
        role=name,
        interface=None,
        current=SimpleNamespace(program_for=program_for),
        use=lambda *_: asked.append(f"{name} uses"),
    )


@pytest.mark.parametrize(
    ("refusal", "last"), [("too large", ["closed"]), (None, ["balancer uses", "sender uses"])]
)
def test_a_file_that_one_role_cannot_have_changes_no_role(
    refusal: str | None, last: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    roles = [_role("balancer", asked), _role("sender", asked, refusal)]
    wanted: Any = SimpleNamespace(node="n")
    source: Any = SimpleNamespace(fingerprint="f")
    running = node.RunningNode(wanted, source, roles=list(roles))
    parts = [SimpleNamespace(role=role.role, plan=None) for role in roles]
    monkeypatch.setattr(node, "check_servers", lambda *_: None)
    monkeypatch.setattr(running, "_parts", lambda: parts)
    with pytest.raises(HostError, match=refusal) if refusal else nullcontext():
        running.reload()

    assert ["balancer needs", "sender needs", *last] == asked
