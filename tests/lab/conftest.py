"""What tests in the lab share: a scene with its servers running, once per module."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

import remainder_lab as lab
from remainder_lab import OneService, remove_leftovers
from tests.lab.straight import no_program, route_to


@pytest.fixture(scope="session", autouse=True)
def _no_leftovers() -> None:
    """Runs that were killed must not slow down this one."""
    if os.geteuid() == 0:
        remove_leftovers()


@pytest.fixture(scope="module")
def one_service(_no_leftovers: None) -> Iterator[OneService]:
    """Clients, router, balancer and four servers; no balancer runs yet."""
    with lab.one_service() as scene:
        scene.start_servers()
        yield scene


@pytest.fixture
def scene(one_service: OneService) -> Iterator[OneService]:
    """The same for one test; a failed one leaves no balancer to the next."""
    yield one_service
    for process in one_service.balancers:
        process.terminate()


@pytest.fixture(scope="module")
def to_s1() -> Iterator[OneService]:
    """The scene with the router's own routes in place of a balancer: all goes to s1."""
    with lab.one_service(pass_all=no_program) as built:
        built.start_servers()
        route_to(built, "s1")
        yield built
