"""A node that is wired to its router."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from remainder.kernel import pins
from remainder.observe import state
from remainder_lab import Host
from tests.lab.beside_the_stack.site import ROLES, Site, wired


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A node that is wired to its router; nothing runs on it yet."""
    with ExitStack() as stack:
        node, router = (stack.enter_context(Host(name)) for name in ("n1", "r1"))
        stack.enter_context(wired(node, router))
        built = Site(node, router, tmp_path / "r.toml")
        built.write()
        yield built
        for role in ROLES:  # what a failed test leaves
            pins.remove(built.name, role)
            state.remove(built.name, role)
