"""Planes of the real kernel: what a packet meets before, between and after the two steps."""

from __future__ import annotations

from dataclasses import replace

import pytest

from remainder.errors import HostError
from remainder.kernel import counters, netlink, pins
from remainder.kernel.bpf_plane import BpfPlane
from tests.bpf.plane.bench import NODE, Bench, first, plan_of
from tests.warnings import Warned

pytestmark = [pytest.mark.root, pytest.mark.bpf]


@pytest.mark.parametrize("key", ["src_ip + dst_ip + dst_port", "hash(src_ip)"])
def test_a_change_is_met_at_its_commit_and_can_be_undone(bench: Bench, key: str) -> None:
    """In place for another sum, by another program for a hash."""
    old, new = plan_of(1), plan_of(2, key=key)
    plane = first(bench, old)
    both = plan_of(1, 2)
    prepared = bench.planes.prepare(bench.wish(new), plane)
    told = [bench.server(plane, both)]
    prepared.commit(Warned())
    told.append(bench.server(plane, both))
    prepared.undo()
    told.append(bench.server(plane, both))
    prepared.discard()
    told.append(bench.server(plane, both))

    assert int("hash" in key) == prepared.risk
    assert ["s1", "s2", "s1", "s1"] == told

    again = bench.planes.prepare(bench.wish(new), plane)
    again.commit(Warned())
    again.finish()

    assert "s2" == bench.server(plane, both)
    plane.close()


def test_what_is_undone_leaves_the_counters_of_what_runs(bench: Bench) -> None:
    old = plan_of(1)
    plane = first(bench, old)
    prepared = bench.planes.prepare(bench.wish(plan_of(2)), plane)
    prepared.commit(Warned())
    prepared.undo()
    prepared.discard()
    bench.server(plane, old)
    told = counters.servers(plane.attached.dataplane.maps, dict(plane.numbers))

    assert {("web", "s1"): 1} == {name: count.packets for name, count in told.items()}
    plane.close()


def test_an_attachment_that_is_undone_leaves_no_trace(bench: Bench) -> None:
    prepared = bench.planes.prepare(bench.wish(plan_of(1)), None)
    between = netlink.interface("va").xdp_program
    prepared.commit(Warned())
    attached = netlink.interface("va").xdp_program
    prepared.undo()
    prepared.discard()

    assert between is None
    assert attached is not None
    assert netlink.interface("va").xdp_program is None
    assert not pins.folder_of(NODE).exists()


def test_a_place_that_is_taken_is_refused_before_anything_changes(bench: Bench) -> None:
    plane = first(bench, plan_of(1))
    with pytest.raises(HostError, match="already runs another XDP program"):
        bench.planes.prepare(replace(bench.wish(plan_of(2)), node="another"), None)

    assert "s1" == bench.server(plane, plan_of(1))
    plane.close()


def test_a_move_to_another_interface_detaches_the_first_last(bench: Bench) -> None:
    plane = first(bench, plan_of(1))
    prepared = bench.planes.prepare(bench.wish(plan_of(2), "vc"), plane)
    moved = prepared.commit(Warned())
    both = [netlink.interface(name).xdp_program is not None for name in ("va", "vc")]
    prepared.finish()
    after = [netlink.interface(name).xdp_program is not None for name in ("va", "vc")]
    found = bench.planes.find(NODE, "balancer", moved.numbers, code=None)

    assert [True, True] == both
    assert [False, True] == after
    assert found is not None
    assert netlink.interface("vc").index == found.ifindex
    found.close()
    moved.close()


def test_a_member_that_lost_its_companion_gets_both_again(bench: Bench) -> None:
    """What stands where the new program goes is its own."""
    plane = first(bench, plan_of(1))
    link = pins.folder_of(NODE) / "link"
    again = bench.planes.prepare(bench.wish(plan_of(2)), None)
    new = again.commit(Warned())
    again.finish()

    assert isinstance(new, BpfPlane)
    assert "s2" == bench.server(new, plan_of(2))
    assert link.exists()
    plane.close()
    new.close()
