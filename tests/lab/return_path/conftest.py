"""Servers behind two routers that select themselves, for all tests of this room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from remainder_lab.acts_return import publish
from remainder_lab.return_path import ReturnPath, return_path


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("return-path") / "r.toml"


@pytest.fixture(scope="module")
def built(file: Path) -> Iterator[ReturnPath]:
    """Two routers that select themselves, three servers that serve; all nodes run."""
    with return_path() as scene:
        scene.start_servers()
        file.write_text(scene.config_text(mode="native"))
        scene.start_balancer(file)
        yield scene


@pytest.fixture
def scene(built: ReturnPath, file: Path) -> Iterator[ReturnPath]:
    """Every node runs, by the five-field sum, and every router has a stateful firewall."""
    built.raise_firewalls()
    publish(built, file, built.config_text(mode="native"))
    yield built
    dead = [name for name in built.nodes if built.running(name).poll() is not None]
    file.write_text(built.config_text(mode="native"))
    built.start_nodes(file, names=dead)
