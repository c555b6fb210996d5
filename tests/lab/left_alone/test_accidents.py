"""A node that is left alone: whatever happens to its host, what it wants stands again (law 12)."""

from __future__ import annotations

import json
import signal
import time
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from remainder.kernel import neighbours, netlink
from remainder_lab import OneService
from remainder_lab.heartbeat import Heartbeat
from remainder_lab.host import python_module
from remainder_lab.patience import patient
from tests.lab.balancing import status
from tests.lab.left_alone.alone import (
    ACCIDENTS,
    AGAIN_S,
    ANOTHER_MAC,
    Accident,
    Alone,
    Standing,
    detached,
    gratuitous,
    link_flap,
    managed_entries,
    move,
    pins_removed,
    vips_removed,
)

pytestmark = [pytest.mark.root, pytest.mark.bpf]


@pytest.mark.parametrize("accident", ACCIDENTS)
def test_what_was_lost_stands_again_within_two_seconds(alone: Alone, accident: Accident) -> None:
    accident(alone)

    assert alone.again() < patient(AGAIN_S)
    with Heartbeat(alone.scene.clients, {v: alone.scene.echo(v) for v in (4, 6)}) as heart:
        begun_s = time.monotonic()
        time.sleep(0.5)
        assert {4: 0.0, 6: 0.0} == heart.interruptions_s(begun_s, time.monotonic())
    looked = status(alone.scene)
    assert looked["attached"]
    assert looked["trouble"] is None
    assert not any("Traceback" in line for line in alone.process.lines)


def test_a_server_thatmoves_after_a_flap_is_followed(alone: Alone) -> None:
    """By gratuitous ARP alone: the entries are managed again."""
    link_flap(alone)
    assert alone.again() < patient(AGAIN_S)
    server = alone.scene.servers["s1"]
    before = server.mac("eth0")

    for mac in (ANOTHER_MAC, before):
        server.netlink(move, mac)
        server.call(gratuitous, mac)
        alone.process.wait_for(f"server 192.0.2.11 is at {mac}", timeout_s=10)


def test_a_stop_after_all_of_it_leaves_nothing(alone: Alone) -> None:
    for accident in (link_flap, vips_removed, detached, pins_removed):
        accident(alone)
        assert alone.again() < patient(AGAIN_S)
    alone.process.terminate()

    assert not alone.folder.parent.exists()
    assert Standing({}, set(), has_program=False, is_pinned=False) == alone.standing()


def test_an_operators_permanent_neighbour_is_used_and_left(
    scene: OneService, tmp_path: Path
) -> None:
    path = tmp_path / "r.toml"
    path.write_text(scene.config_text())
    mac = scene.servers["s1"].mac("eth0")

    def neighbour(ip: Any, command: str) -> None:
        (index,) = ip.link_lookup(ifname="eth0")
        ip.neigh(command, dst="192.0.2.11", lladdr=mac, ifindex=index, state=128)

    scene.balancer.netlink(neighbour, "replace")
    try:
        process = scene.start_balancer(path)
        known = scene.balancer.call(_known, scene)
        process.terminate()
        left = scene.balancer.call(_known, scene)
    finally:
        scene.balancer.netlink(neighbour, "del")

    assert known.permanent
    assert bytes.fromhex(mac.replace(":", "")) == known.mac
    assert known == left


def _known(scene: OneService) -> neighbours.Neighbour:
    index = netlink.interface("eth0").index
    return neighbours.neighbours(index)[ip_address("192.0.2.11")]


def test_more_servers_than_the_neighbour_table_holds_are_followed(
    scene: OneService, tmp_path: Path
) -> None:
    """1,024 is the most of other entries; ours do not count."""
    path = tmp_path / "r.toml"
    some = ", ".join(
        f'{{ name = "x{number}", address = "2001:db8:2::1:{number:x}" }}' for number in range(1200)
    )
    path.write_text(
        scene.config_text()
        + f"""
[[service]]
name = "many"
vip = "{scene.vips[6]}"
port = 443
protocol = "tcp"
key = "src_ip"
table = "modulo"
servers = [{some}]
"""
    )
    process = scene.start_balancer(path)
    managed = scene.balancer.call(managed_entries)
    process.send_signal(signal.SIGTERM)
    process.wait(60)

    assert 1204 == managed
    assert 0 == scene.balancer.call(managed_entries)


def test_a_vip_is_never_the_source_of_the_hosts_own_connections(alone: Alone) -> None:
    """An IPv6 one is deprecated from the start (RFC 6724, rule 3)."""
    told = alone.scene.balancer.run(["ip", "-json", "route", "get", "2001:db8:2::11"]).stdout

    assert alone.scene.vips[6] != json.loads(told)[0]["prefsrc"]


def test_a_hidden_bpf_file_system_is_noticed_and_not_waited_for(
    scene: OneService, tmp_path: Path
) -> None:
    """``ip netns exec`` covers /sys: what is pinned outside cannot be detached from there."""
    path = tmp_path / "r.toml"
    path.write_text(scene.config_text())
    process = scene.start_balancer(path, "--keep")
    process.terminate()
    hidden = scene.balancer.run(
        ["unshare", "--mount", "sh", "-c",
         "mount -t sysfs sysfs /sys && "
         + " ".join(python_module("remainder", "detach", "--node", scene.node))],
    )  # fmt: skip
    attached = scene.balancer.call(_program)
    plain = scene.balancer.run(python_module("remainder", "detach", "--node", scene.node))

    assert 1 == hidden.returncode
    assert "no BPF file system is mounted" in hidden.stderr
    assert attached is not None
    assert 0 == plain.returncode
    assert None is scene.balancer.call(_program)


def _program() -> int | None:
    return netlink.interface("eth0").xdp_program
