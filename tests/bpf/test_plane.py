"""Planes of the real kernel: what a packet meets before, between and after the two steps."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, ip_address
from pathlib import Path

import pytest
from pyroute2 import IPRoute

from remainder.config import Config, Server, Service
from remainder.errors import HostError
from remainder.flow import Flow
from remainder.kernel import attached as asking
from remainder.kernel import counters, libbpf, netlink, netns, pins
from remainder.kernel.bpf_changes import Replacing
from remainder.kernel.bpf_plane import BpfPlane
from remainder.kernel.bpf_planes import BpfPlanes
from remainder.kernel.oracle import CLIENT_MAC
from remainder.kernel.plane import Wish
from remainder.plan import Plan, make_plan
from remainder.reference.frame import frame_of
from tests.bpf.test_cluster import CLUSTER_MAC, HASH, SHARED, SUM5, config_of, plans_of
from tests.warnings import Warned

pytestmark = [pytest.mark.root, pytest.mark.bpf]

VIP = "203.0.113.10"
NODE = "plane-test"
MACS = {ip_address(f"192.0.2.{one}"): b"\2\0\0\0\1" + bytes([one]) for one in (1, 2)}


def plan_of(*servers: int, key: str = "src_ip + dst_ip + dst_port") -> Plan:
    return make_plan(
        Config(
            secret="5a" * 16,
            service=[
                Service(
                    name="web", vip=VIP, port=80, protocol="tcp", key=key, table="modulo",
                    servers=[Server(name=f"s{one}", address=f"192.0.2.{one}") for one in servers],
                )
            ],
        )
    )  # fmt: skip


@dataclass
class Bench:
    """An interface of its own, and planes on it."""

    planes: BpfPlanes

    def wish(self, plan: Plan, name: str = "va") -> Wish:
        return Wish(
            node=NODE,
            plan=plan,
            interface=netlink.interface(name),
            mode="generic",
            macs=MACS,
        )

    def server(self, plane: BpfPlane, plan: Plan) -> str:
        """Whom the program that is attached sends a packet to, told by its MAC address."""
        flow = Flow(IPv4Address("198.51.100.7"), 4000, IPv4Address(VIP), 80, 6)
        own = netlink.interface_at(plane.ifindex)
        frame = frame_of(flow, source_mac=CLIENT_MAC, destination_mac=own.mac)
        program_fd = libbpf.program_by_id(own.xdp_program or 0)
        try:
            _, after = libbpf.test_run(program_fd, frame)
        finally:
            os.close(program_fd)
        names = {MACS[address]: name for _, name, address in plan.reached}
        return names.get(after[:6], "nobody")


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


def first(bench: Bench, plan: Plan) -> BpfPlane:
    prepared = bench.planes.prepare(bench.wish(plan), None)
    plane = prepared.commit(Warned())
    prepared.finish()
    assert isinstance(plane, BpfPlane)
    return plane


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


# --- what a process leaves that is killed between two steps


def started_again(bench: Bench, plan: Plan, name: str = "va") -> BpfPlane:
    """As a process does that knows nothing of the one before it."""
    found = bench.planes.find(NODE, "balancer", {}, code=None)
    prepared = bench.planes.prepare(bench.wish(plan, name), found)
    plane = prepared.commit(Warned())
    prepared.finish()
    assert isinstance(plane, BpfPlane)
    return plane


def attached(*names: str) -> list[bool]:
    return [netlink.interface(name).xdp_program is not None for name in names]


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


# --- what strangers do


def asked(pin: Path) -> int:
    """What keepalived is told."""
    done = subprocess.run(
        asking.command_for(str(pin)).split(), check=False, capture_output=True, text=True
    )
    assert "Traceback" not in done.stderr
    return done.returncode


@pytest.mark.parametrize("key", ["src_ip", "hash(src_ip)"])
def test_a_program_that_a_stranger_detached_comes_back_with_its_counters(
    bench: Bench, key: str
) -> None:
    plan = plan_of(1)
    plane = first(bench, plan)
    bench.server(plane, plan)
    pin = pins.folder_of(NODE) / "link"
    before = asked(pin)
    libbpf.detach(plane.attached.link.fd)  # type: ignore[attr-defined]

    assert (0, 1) == (before, asked(pin))
    assert 0 == plane.ifindex
    assert plane.is_pinned

    after = plan_of(1, key=key)
    prepared = bench.planes.prepare(bench.wish(after), plane)
    again = prepared.commit(Warned())
    prepared.finish()
    assert isinstance(again, BpfPlane)
    bench.server(again, after)
    told = counters.servers(again.attached.dataplane.maps, dict(again.numbers))

    assert 0 == asked(pin)
    assert again.is_pinned
    assert {("web", "s1"): 2} == {name: count.packets for name, count in told.items()}
    again.close()


def test_pins_that_a_stranger_removed_are_found_again(bench: Bench) -> None:
    plane = first(bench, plan_of(1))
    assert plane.is_pinned
    for victim in ("link", "1/program", "1/halves", "."):
        path = pins.folder_of(NODE) / victim
        if path.is_dir():
            shutil.rmtree(path.parent)
        else:
            path.unlink()
        assert not plane.is_pinned
        plane.pin()
        assert plane.is_pinned
    found = pins.find(NODE)

    assert found is not None
    assert found.now_on() == plane.ifindex
    assert 1 == asked(Path("/sys/fs/bpf/no/such/pin"))
    found.close()
    plane.close()


def test_the_pin_of_what_is_attached_is_there_all_the_time(bench: Bench) -> None:
    """Or a standby would take over for nothing."""
    plane = first(bench, plan_of(1))
    pin = pins.folder_of(NODE) / "link"
    missing: list[str] = []
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            if not pin.exists():
                missing.append("gone")

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(20):
        libbpf.detach(plane.attached.link.fd)  # type: ignore[attr-defined]
        prepared = bench.planes.prepare(bench.wish(plan_of(1)), plane)
        again = prepared.commit(Warned())
        prepared.finish()
        assert isinstance(again, BpfPlane)
        plane = again
    over.set()
    watcher.join()
    plane.close()

    assert [] == missing
