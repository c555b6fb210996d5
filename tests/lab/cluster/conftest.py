"""A cluster that selects itself, on a real segment, for all tests of this room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from remainder_lab import SCENES
from remainder_lab.cluster import Cluster


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cluster") / "r.toml"


@pytest.fixture(scope="module")
def scene() -> Iterator[Cluster]:
    """Clients, router and three members that serve."""
    with SCENES["cluster"]() as built:
        assert isinstance(built, Cluster)
        built.start_servers()
        yield built
