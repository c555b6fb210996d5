"""What a process leaves that is killed between two steps."""

from __future__ import annotations

import gc
import os
from dataclasses import replace
from pathlib import Path

import pytest

from remainder.kernel import libbpf, pins
from remainder.kernel.bpf_changes import Replacing
from remainder.kernel.bpf_plane import BpfPlane
from remainder.plan import Plan
from tests.bpf.plane.bench import NODE, Bench, attached, first, plan_of
from tests.bpf.test_cluster import CLUSTER_MAC, HASH, SHARED, SUM5, config_of, plans_of
from tests.warnings import Warned

pytestmark = [pytest.mark.root, pytest.mark.bpf]


def started_again(bench: Bench, plan: Plan, name: str = "va") -> BpfPlane:
    """As a process does that knows nothing of the one before it."""
    found = bench.planes.find(NODE, "balancer", {}, code=None)
    prepared = bench.planes.prepare(bench.wish(plan, name), found)
    plane = prepared.commit(Warned())
    prepared.finish()
    assert isinstance(plane, BpfPlane)
    return plane


@pytest.mark.parametrize(("name", "there"), [("vc", [False, True]), ("va", [True, False])])
def test_a_move_that_was_killed_before_its_end_is_finished_or_taken_back(
    bench: Bench, name: str, there: list[bool]
) -> None:
    plane = first(bench, plan_of(1))
    moved = bench.planes.prepare(bench.wish(plan_of(2), "vc"), plane).commit(Warned())
    moved.close()
    plane.close()
    again = started_again(bench, plan_of(2), name)

    assert there == attached("va", "vc")
    assert "s2" == bench.server(again, plan_of(1, 2))
    again.close()

    once_more = started_again(bench, plan_of(1), name)

    assert "s1" == bench.server(once_more, plan_of(1, 2))
    assert there == attached("va", "vc")
    once_more.close()


def test_a_move_that_was_killed_while_it_took_over_the_names_goes_on(bench: Bench) -> None:
    plane = first(bench, plan_of(1))
    prepared = bench.planes.prepare(bench.wish(plan_of(2), "vc"), plane)
    moved = prepared.commit(Warned())
    assert isinstance(moved, BpfPlane)
    pins.detach_old(NODE, "balancer")
    moved.close()
    plane.close()
    again = started_again(bench, plan_of(1), "vc")

    assert [False, True] == attached("va", "vc")
    assert "s1" == bench.server(again, plan_of(1, 2))
    again.close()


def test_a_first_start_that_was_killed_before_it_attached_hinders_no_other(bench: Bench) -> None:
    bench.planes.prepare(bench.wish(plan_of(1)), None)
    again = started_again(bench, plan_of(2))

    assert "s2" == bench.server(again, plan_of(1, 2))
    assert ["2"] == sorted(
        path.name for path in pins.folder_of(NODE).iterdir() if path.name.isdecimal()
    )
    again.close()


def test_a_program_that_somebody_detached_is_known_at_once(bench: Bench) -> None:
    plane = first(bench, plan_of(1))
    libbpf.detach(plane.attached.link.fd)  # type: ignore[attr-defined]
    gone = plane.ifindex
    prepared = bench.planes.prepare(bench.wish(plan_of(2)), plane)
    again = prepared.commit(Warned())
    prepared.finish()

    assert 0 == gone
    assert isinstance(again, BpfPlane)
    assert "s2" == bench.server(again, plan_of(1, 2))
    again.close()


def test_reloads_leak_no_descriptor(bench: Bench) -> None:
    plans = [plan_of(1), plan_of(2, key="hash(src_ip)")]
    plane = first(bench, plans[0])
    counts = []
    for number in range(1, 21):
        prepared = bench.planes.prepare(bench.wish(plans[number % 2]), plane)
        prepared.commit(Warned())
        prepared.finish()
        undone = bench.planes.prepare(bench.wish(plans[(number + 1) % 2]), plane)
        undone.commit(Warned())
        undone.undo()
        undone.discard()
        del prepared, undone
        gc.collect()
        counts.append(len(list(Path("/proc/self/fd").iterdir())))

    assert counts[4] == counts[-1]
    plane.close()


def test_a_folder_that_was_half_written_is_passed_over_and_leaks_no_descriptor(
    bench: Bench,
) -> None:
    first(bench, plan_of(1)).close()
    whole, half = pins.folder_of(NODE) / "1", pins.next_folder(NODE, "balancer")
    half.mkdir()
    for name in ("outcomes", "servers"):
        map_fd = libbpf.pinned(whole / name)
        libbpf.pin(map_fd, half / name)
        os.close(map_fd)
    counts = []
    for _ in range(3):
        found = pins.find(NODE)
        assert found is not None
        assert whole == found.folder
        found.close()
        del found
        gc.collect()
        counts.append(len(list(Path("/proc/self/fd").iterdir())))

    assert counts[0] == counts[-1]


def test_a_companion_of_another_program_is_replaced_by_the_next_start(bench: Bench) -> None:
    """A process died after the program was replaced and before its companion was."""
    plan = plans_of(config_of(2, SUM5, "modulo", SHARED[0]))["m0"]
    wish = replace(bench.wish(plan), cluster_mac=CLUSTER_MAC)
    plane = bench.planes.prepare(wish, None).commit(Warned())
    assert isinstance(plane, BpfPlane)
    hashed = plans_of(config_of(2, HASH, "modulo", SHARED[0]))["m0"]
    half = bench.planes.prepare(replace(wish, plan=hashed), plane)
    assert isinstance(half, Replacing)
    plane.attached.link.replace(half.after.attached.dataplane.program_fd)
    plane.close()
    code = bench.planes.fingerprint("member")
    found = bench.planes.find(NODE, "member", {}, code=code)
    assert found is not None
    mixed = found.serves(hashed, wish.interface)
    again = bench.planes.prepare(replace(wish, plan=hashed), found)
    again.commit(Warned())
    again.finish()

    assert not mixed
    assert found.attached.is_uniform
    found.close()
