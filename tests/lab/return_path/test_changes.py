"""What becomes of the way back when routers and processes change?  Claims 44-48."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from remainder.fleet import return_plan
from remainder.observe.report import report
from remainder.sources.file import load
from remainder_lab import hold_sessions
from remainder_lab.acts_return import (
    SESSIONS,
    publish,
    show_sessions,
)
from remainder_lab.host import python_module
from remainder_lab.return_path import ReturnPath
from remainder_lab.tiered import INSIDE, router_address
from tests.lab.return_path.servers import outcomes, wait_for

pytestmark = [pytest.mark.root, pytest.mark.bpf]

NOBODY = "192.0.2.254"
"""An address of no machine, whose MAC the servers are told."""


def test_servers_follow_a_router_to_another_mac(scene: ReturnPath) -> None:
    """Sessions through r2 go on when its interface gets another address."""
    r2, new = scene.routers["r2"], "02:00:5e:00:53:42"
    with hold_sessions(
        scene.clients, scene.web(), sources=scene.client_addresses[4], sessions=100, interval_s=0.2
    ) as held:
        old = r2.mac(INSIDE)
        r2.netlink(_set_mac, new)
        followed = wait_for(lambda: all(new in macs_of(scene, name) for name in scene.servers))
        time.sleep(0.5)
        sessions = held.stop()

    assert old != new
    assert followed
    assert 100 == len(sessions)
    assert [] == [session for session in sessions if not session.ok]


def test_the_way_back_outlives_its_process(scene: ReturnPath, file: Path) -> None:
    """kill -9 on every node under traffic: nothing is lost, and the next start takes over."""
    with hold_sessions(
        scene.clients, scene.web(), sources=scene.client_addresses[4], sessions=100, interval_s=0.2
    ) as held:
        for name in scene.nodes:
            scene.running(name).kill()
        alone = show_sessions(scene, file)
        before = {name: outcomes(scene, name)["returned"] for name in scene.servers}
        scene.start_nodes(file)
        time.sleep(0.5)
        sessions = held.stop()
        after = {name: outcomes(scene, name)["returned"] for name in scene.servers}

    assert () == alone.broken
    assert () == alone.strayed
    assert 100 == len(sessions)
    assert [] == [session for session in sessions if not session.ok]
    assert all(after[name] > before[name] > 0 for name in scene.servers)


def test_keep_leaves_the_choice_in_place_and_detach_takes_it_away(
    scene: ReturnPath, file: Path
) -> None:
    """After ``run --keep`` the servers still choose; after ``detach`` all goes through r1."""
    scene.stop_nodes(scene.servers)
    scene.start_nodes(file, "--keep", names=scene.servers)
    scene.stop_nodes(scene.servers)
    kept = show_sessions(scene, file)
    for server in scene.servers.values():
        done = server.run(python_module("remainder", "detach", "--node", server.namespace))

        assert 0 == done.returncode
        assert "managed" not in server.run(["ip", "neigh"]).stdout
    for name in scene.routers:
        scene.lower_firewall(name)
    detached = show_sessions(scene, file)

    assert () == kept.broken
    assert () == kept.strayed
    assert () == detached.broken
    assert {frozenset({"r1"})} == {trip.way_back for trip in detached.trips}


def test_a_dead_router_takes_only_its_own_sessions_with_it(scene: ReturnPath, file: Path) -> None:
    """r1 falls silent: sessions of r2 go on; once r1 is out of the file, r2 takes all new ones.

    Servers need a next hop that is always resolved: a packet whose next hop does not
    answer is dropped by the kernel before any program sees it.
    """
    plan = return_plan(load(file), load(file).return_path)
    for server in scene.servers.values():
        server.netlink(_use_next_hop, NOBODY)
    with hold_sessions(
        scene.clients,
        scene.web(),
        sources=scene.client_addresses[4],
        sessions=100,
        interval_s=0.2,
        timeout_s=1.0,
    ) as held:
        scene.segment.silence(scene.routers["r1"])
        scene.edge.silence(scene.routers["r1"])
        time.sleep(1.5)
        others = [name for name in scene.nodes if name != "r1"]
        publish(scene, file, scene.config_text(mode="native", routers=["r2"]), others)
        alone = show_sessions(scene, file)
        sessions = held.stop()
    scene.segment.hear(scene.routers["r1"])
    scene.edge.hear(scene.routers["r1"])
    for server in scene.servers.values():
        server.netlink(_use_next_hop, router_address("r1"))
    of_r1 = {
        session for session in sessions if scene.name_of(plan.where(session.flow).owner) == "r1"
    }
    print(f"{len(of_r1)} of {len(sessions)} sessions were r1's, and are lost")

    assert 100 == len(sessions)
    assert 35 < len(of_r1) < 65
    assert of_r1 == {session for session in sessions if not session.ok}
    assert () == alone.broken
    assert {"r2": SESSIONS} == alone.carried


def macs_of(scene: ReturnPath, name: str) -> set[str]:
    services = report(scene.nodes[name].namespace, "sender")["services"]
    return {router["mac"] for service in services for router in service["servers"]}


def _use_next_hop(ip: Any, address: str) -> None:
    index = ip.link_lookup(ifname="eth0")[0]
    if address == NOBODY:
        ip.neigh("replace", dst=NOBODY, lladdr="02:00:00:00:00:01", ifindex=index, state=0x80)
    ip.route("replace", dst="0.0.0.0/0", gateway=address)


def _set_mac(ip: Any, mac: str) -> None:
    ip.link("set", ifname=INSIDE, address=mac)
