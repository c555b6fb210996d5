"""What tests of one balancer do again and again."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from remainder.plan import Plan, make_plan
from remainder.sources.file import load
from remainder_lab import (
    OneService,
    Session,
)


@contextmanager
def balancing(scene: OneService, path: Path, text: str, *arguments: str) -> Iterator[Plan]:
    """A balancer that runs for as long as the block does."""
    path.write_text(text)
    process = scene.start_balancer(path, *arguments)
    try:
        yield make_plan(load(path))
    finally:
        process.terminate()


def status(scene: OneService) -> dict[str, Any]:
    """``remainder status --json`` of the scene's balancer."""
    done = scene.balancer.run(
        [sys.executable, "-m", "remainder", "status", "--node", scene.node, "--json"]
    )
    (node,) = json.loads(done.stdout)["nodes"]
    return dict(node)


def misdirected(plan: Plan, sessions: list[Session]) -> list[Session]:
    """Sessions that met another server than the calculation names."""
    return [item for item in sessions if plan.where(item.flow).owner != item.server]
