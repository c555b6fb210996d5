"""A program may only become so large: instructions it has, and those the verifier walks through.

Each budget is what was counted, with a quarter for growth and for other compilers.
A larger one is a decision, so it is made here.
"""

from __future__ import annotations

import os

import pytest

from remainder.config import Config
from remainder.fleet import server_plan
from remainder.kernel import dataplane, image, libbpf
from remainder.kernel.abi import Feature
from remainder_bench import flood_programs, stopwatch
from remainder_bench.cases import plan_for
from remainder_lab import switching
from tests.fleets import changing

pytestmark = pytest.mark.bpf

ALL = Feature(0)
for _feature in Feature:
    ALL |= _feature

BALANCER = {
    "IPv4, sum": (Feature.IPV4 | Feature.SUM, 1_370, 23_300),
    "IPv4, hash": (Feature.IPV4 | Feature.HASH, 1_600, 46_000),
    "everything": (ALL, 3_300, 134_000),
}
"""What a file needs → (features, instructions, walked through by the verifier)."""

SERVER = {
    "IPv4, sum": (Feature.IPV4 | Feature.SUM, 2_000, 30_000),
    "everything": (ALL, 4_150, 50_000),
}
"""The same for the server's program."""

TOOLS = {
    "driver": (stopwatch.DRIVER, 500, 5_000),
    "send": (flood_programs.FLOOD, 340, 840),  # the verifier of 6.12 walks through 671, of 6.18 457
    "dam": (flood_programs.FLOOD, 45, 40),
    "forward": (switching.SWITCH, 25, 25),
}
"""Program of the benchmark or the lab → (its object, instructions, walked through)."""


@pytest.mark.parametrize("needs", BALANCER)
def test_the_balancer_stays_within_its_budget(needs: str) -> None:
    features, most, most_verified = BALANCER[needs]
    plan = plan_for(4, "tcp", method="l2", key="sum3", services=1, servers=4)
    loaded = dataplane.load(image.need_of(plan), features)
    try:
        instructions = libbpf.program_size(loaded.program_fd)
        verified = libbpf.verified_instructions(loaded.program_fd)
    finally:
        loaded.close()
    print(f"{needs}: {instructions:,} instructions, {verified:,} verified")

    assert instructions <= most
    assert verified <= most_verified


@pytest.mark.parametrize("needs", SERVER)
def test_the_program_of_a_server_stays_within_its_budget(needs: str) -> None:
    features, most, most_verified = SERVER[needs]
    plan = server_plan(Config(service=[changing()]), "s1")
    loaded = dataplane.load(image.need_of(plan), features, role="server")
    try:
        instructions = libbpf.program_size(loaded.program_fd)
        verified = libbpf.verified_instructions(loaded.program_fd)
    finally:
        loaded.close()
    print(f"{needs}: {instructions:,} instructions, {verified:,} verified")

    assert instructions <= most
    assert verified <= most_verified


def test_what_a_file_does_not_use_is_not_in_its_program() -> None:
    """Settings are constants at load, and the kernel drops the branches they close."""
    plan = plan_for(4, "tcp", method="l2", key="sum3", services=1, servers=4)
    sizes = []
    for features, *_ in BALANCER.values():
        loaded = dataplane.load(image.need_of(plan), features)
        sizes.append(libbpf.program_size(loaded.program_fd))
        loaded.close()

    assert sorted(sizes) == sizes
    assert 2 * sizes[0] < sizes[-1]


@pytest.mark.parametrize("entry", TOOLS)
def test_the_tools_of_the_benchmark_stay_within_their_budget(entry: str) -> None:
    path, most, most_verified = TOOLS[entry]
    with libbpf.opened(path) as opened:
        opened.load(entry)
        descriptor = opened.program_fd(entry)
    try:
        instructions = libbpf.program_size(descriptor)
        verified = libbpf.verified_instructions(descriptor)
    finally:
        os.close(descriptor)
    print(f"{entry}: {instructions:,} instructions, {verified:,} verified")

    assert instructions <= most
    assert verified <= most_verified
