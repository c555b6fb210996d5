"""An interface of its own for each test."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from pyroute2 import IPRoute

from remainder.kernel import netns, pins
from remainder.kernel.bpf_planes import BpfPlanes
from tests.bpf.plane.bench import NODE, Bench


@pytest.fixture
def bench() -> Iterator[Bench]:
    """In a network namespace of this thread, which goes at the end."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    assert 0 == netns._libc.unshare(netns._CLONE_NEWNET)
    try:
        with IPRoute() as route:
            route.link("add", ifname="va", kind="veth", peer={"ifname": "vb"})
            route.link("add", ifname="vc", kind="veth", peer={"ifname": "vd"})
        yield Bench(BpfPlanes())
    finally:
        for role in ("balancer", "member"):
            pins.remove(NODE, role)
        assert 0 == netns._libc.setns(home, netns._CLONE_NEWNET)
        os.close(home)
