"""A balancer that is left alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from remainder_lab import OneService, one_service
from tests.lab.left_alone.alone import Alone, left_alone


@pytest.fixture(scope="module")
def scene() -> Iterator[OneService]:
    """Clients, router, a balancer that holds the VIPs, and two servers."""
    with one_service(servers=2, clients=4) as built:
        built.start_servers()
        yield built


@pytest.fixture
def alone(scene: OneService, tmp_path: Path) -> Iterator[Alone]:
    with left_alone(scene, tmp_path / "r.toml") as made:
        yield made
