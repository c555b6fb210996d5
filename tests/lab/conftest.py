"""What tests in the lab share: a scene with its servers running, once per module."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from remainder.lab import SCENES, OneService, remove_leftovers


@pytest.fixture(scope="session", autouse=True)
def _no_leftovers() -> None:
    """Runs that were killed must not slow down this one."""
    if os.geteuid() == 0:
        remove_leftovers()


@pytest.fixture(scope="module")
def one_service(_no_leftovers: None) -> Iterator[OneService]:
    """Clients, router, balancer and four servers; no balancer runs yet."""
    with SCENES["one-service"]() as scene:
        scene.start_servers()
        yield scene
