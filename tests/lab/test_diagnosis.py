"""What is wrong on a real segment is named by ``run`` and ``check``; what is right is not."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from remainder_lab import OneService, Running
from remainder_lab.nft import load_rules
from remainder_lab.numbering import BALANCER, HOST_BITS, server_address
from remainder_lab.patience import patient
from tests.lab.balancing import status
from tests.lab.test_silent_server import HASTE

pytestmark = [pytest.mark.root, pytest.mark.bpf]

ANSWER: Final = "servers answer ARP and neighbour discovery"
READY: Final = "servers answer for their VIPs"
ALONE: Final = "only balancers answer ARP for the VIPs"
FOREIGN: Final = "other sources get through from here"

Found = dict[str, tuple[bool, str]]


def check(scene: OneService, path: Path) -> tuple[int, Found]:
    """(exit status of ``check --strict``, need → (met, detail))."""
    arguments = ("check", str(path), "--node", scene.node, "--interface", "eth0")
    done = scene.balancer.run([sys.executable, "-m", "remainder", *arguments, "--strict", "--json"])
    document = json.loads(done.stdout)
    return done.returncode, {
        item["need"]: (item["met"], item["detail"]) for item in document["host"]
    }


@contextmanager
def run(scene: OneService, path: Path) -> Iterator[Running]:
    process = scene.start_balancer(path)
    try:
        yield process
    finally:
        process.terminate()


@contextmanager
def without_vips(scene: OneService, server: str) -> Iterator[None]:
    """Its loopback lacks them for as long as the block runs."""
    host = scene.servers[server]
    host.netlink(_vips, scene, "del")
    try:
        yield
    finally:
        host.netlink(_vips, scene, "add")


def _vips(ip: Any, scene: OneService, verb: str) -> None:
    (loopback,) = ip.link_lookup(ifname="lo")
    for version, vip in scene.vips.items():
        ip.addr(verb, index=loopback, address=vip, prefixlen=HOST_BITS[version])


def warnings(process: Running) -> list[str]:
    """But for that of the interface, which is a veth."""
    return [
        line
        for line in process.lines
        if line.startswith("warning: ") and "[generic-mode]" not in line
    ]


def told(process: Running, id_: str) -> list[str]:
    """The lines with an id, awaited until they name s2's addresses of both families, each once."""
    deadline_s = time.monotonic() + patient(60)
    while True:
        lines = [line for line in process.lines if id_ in line]
        named = "".join(lines)
        counts = [named.count(f"'s2' ({server_address('s2', version)})") for version in (4, 6)]
        if counts == [1, 1]:
            return lines
        assert time.monotonic() < deadline_s, process.lines
        assert max(counts) <= 1
        time.sleep(0.1)


def test_where_all_is_right_nothing_is_named(scene: OneService, tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text(scene.config_text())
    before = check(scene, path)
    with run(scene, path) as process:
        process.wait_for("ready")
        during = check(scene, path)
        said = warnings(process)

    for code, found in (before, during):
        assert (True, "all 8") == found[ANSWER]
        assert (True, "all") == found[READY]
        assert (True, "nobody") == found[ALONE]
        met, detail = found[FOREIGN]
        assert met
        assert detail.startswith("yes, tried with 192.0.2.")
        assert "2001:db8:2:" in detail
        assert 0 == code
    assert [] == said


def test_a_dead_server_is_named_by_run_check_and_status_and_so_is_its_return(
    scene: OneService, tmp_path: Path
) -> None:
    scene.balancer.sysctls(
        (f"net.{family}.neigh.eth0.{name}", value)
        for family in ("ipv4", "ipv6")
        for name, value in HASTE.items()
    )
    path = tmp_path / "r.toml"
    path.write_text(scene.config_text())
    with run(scene, path) as process:
        alive = status(scene)
        scene.segment.silence(scene.servers["s2"])
        try:
            gone = told(process, "[server-silent]")
            code, found = check(scene, path)
            silent = status(scene)
        finally:
            scene.segment.hear(scene.servers["s2"])
        back = told(process, "[server-back]")
        again = check(scene, path)
    marked = {
        server["name"]
        for server in silent["services"][0]["servers"]
        if server["silent_s"] is not None and server["silent_since"]
    }

    assert gone[0].startswith("warning: server")
    assert back[0].startswith("server")
    assert (1, False) == (code, found[ANSWER][0])
    assert "server 's2' (192.0.2.12) does not answer ARP" in found[ANSWER][1]
    assert found[READY][0], "it is dead, which says nothing about its VIP"
    assert 0 == again[0]
    assert {"s2"} == marked
    assert None is alive["services"][0]["servers"][1]["silent_s"]


def test_a_server_or_a_stranger_that_answers_for_a_vip_is_named(
    scene: OneService, tmp_path: Path
) -> None:
    """s2 is in the file, s3 is not; both lack arp_ignore, and have the IPv6 VIP on eth0."""
    path = tmp_path / "r.toml"
    path.write_text(
        scene.config_text(servers=["s1", "s2"], mode="auto").replace(
            'mode = "auto"', "assign_vips = true"
        )
    )
    open_ = [scene.servers[name] for name in ("s2", "s3")]
    macs = [host.mac("eth0") for host in open_]
    for host in open_:
        host.sysctl("net.ipv4.conf.all.arp_ignore", 0)
        host.netlink(_on_eth0, scene.vips[6], "add")
    try:
        with run(scene, path) as process:
            process.wait_for("warning: a machine")
            process.wait_for("warning: server 's2'")
            time.sleep(0.5)
            said = warnings(process)
            code, found = check(scene, path)
    finally:
        for host in open_:
            host.sysctl("net.ipv4.conf.all.arp_ignore", 1)
            host.netlink(_on_eth0, scene.vips[6], "del")

    assert 1 == code
    assert not found[ALONE][0]
    assert 4 == len(said)
    for version, question in ((4, "ARP"), (6, "neighbour discovery")):
        answers = f"answers {question} for {scene.vips[version]}"
        server = f"server 's2' ({server_address('s2', version)}, {macs[0]}) {answers}"
        stranger = f"a machine at {macs[1]}, no server of the file, {answers}"
        for sentence in (server, stranger):
            assert sentence in found[ALONE][1]
            assert 1 == sum(sentence in line and "[vip-taken]" in line for line in said)
    assert "arp_ignore=1 net.ipv4.conf.all.arp_announce=2" in found[ALONE][1]


def _on_eth0(ip: Any, vip: str, verb: str) -> None:
    (index,) = ip.link_lookup(ifname="eth0")
    ip.addr(
        verb, index=index, address=vip, prefixlen=128, **({"flags": 2} if verb == "add" else {})
    )


def test_a_server_that_forwards_for_the_vip_is_named(scene: OneService, tmp_path: Path) -> None:
    """The way back leads through the router to the balancer, which answers pings itself."""
    path = tmp_path / "r.toml"
    path.write_text(scene.config_text(servers=["s1", "s2"]))
    forwards = [("net.ipv4.ip_forward", 1), ("net.ipv6.conf.all.forwarding", 1)]
    scene.servers["s1"].sysctls(forwards)
    try:
        with without_vips(scene, "s1"), run(scene, path) as process:
            said = {process.wait_for("warning: server 's1'") for _ in range(2)}
            code, found = check(scene, path)
            answered = status(scene)["outcomes"]["echo_answered"]["packets"]
    finally:
        scene.servers["s1"].sysctls((name, 0) for name, _ in forwards)

    assert 1 == code
    assert not found[READY][0]
    for version in scene.versions:
        where = f"({server_address('s1', version)}, {scene.servers['s1'].mac('eth0')})"
        assert f"{where} forwards packets for {scene.vips[version]}" in found[READY][1]
    assert all("[server-forwards-vip]" in line for line in said)
    assert 0 == answered


def test_a_server_at_the_mac_of_the_gateway_is_named(scene: OneService, tmp_path: Path) -> None:
    """The router answers ARP for a server that is behind it, and has a way to the VIP: us."""
    path = tmp_path / "r.toml"
    path.write_text(scene.config_text(servers=["s1"]).replace("192.0.2.11", "192.0.2.99"))
    scene.router.sysctl("net.ipv4.conf.eth0.proxy_arp", 1)
    scene.router.netlink(_behind, "192.0.2.99/32", "add")
    try:
        with run(scene, path) as process:
            said = process.wait_for("warning: server 's1'")
            code, found = check(scene, path)
            answered = status(scene)["outcomes"]["echo_answered"]["packets"]
    finally:
        scene.router.netlink(_behind, "192.0.2.99/32", "del")
        scene.router.sysctl("net.ipv4.conf.eth0.proxy_arp", 0)

    assert "[server-is-gateway]" in said
    assert 1 == code
    assert (
        f"has the MAC address of the gateway 192.0.2.1 ({scene.router.mac('eth0')})"
        in (found[READY][1])
    )
    assert 0 == answered


def _behind(ip: Any, prefix: str, verb: str) -> None:
    (index,) = ip.link_lookup(ifname="clients")
    ip.route(verb, dst=prefix, oif=index)


def test_a_port_that_filters_sources_is_found(scene: OneService, tmp_path: Path) -> None:
    """The switch lets only frames from the balancer's own addresses in, as clouds do."""
    path = tmp_path / "r.toml"
    path.write_text(scene.config_text())
    port = scene.balancer.name
    load_rules(
        scene.segment.host,
        f"table netdev guard {{\nchain in {{\n"
        f'type filter hook ingress device "{port}" priority 0;\n'
        f"ip saddr != {BALANCER[4]} drop\n"
        f"ip6 saddr != {{ {BALANCER[6]}, fe80::/10 }} drop\n"
        f"}}\n}}\n",
    )
    try:
        with run(scene, path) as process:
            said = [process.wait_for("warning: servers answer pings") for _ in range(2)]
            code, found = check(scene, path)
    finally:
        load_rules(scene.segment.host, "delete table netdev guard\n")

    assert 1 == code
    assert (True, "all") == found[READY]
    assert not found[FOREIGN][0]
    assert "none received one with a foreign source address (192.0.2." in found[FOREIGN][1]
    assert all("[source-filtered]" in line for line in said)
