"""Is every packet kept by one member, and what does the network see?  Claims 28-30, 34-43."""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet6 import ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IPv6
from scapy.layers.l2 import ARP, Ether

from remainder.config import CLUSTER_MAC
from remainder.flow import endpoint
from remainder.observe.report import report
from remainder_lab import SCENES, Host, http_sessions, numbering
from remainder_lab.acts_cluster import (
    Selected,
    show_selection,
)
from remainder_lab.cluster import SHARED, Cluster, neighbours_of
from remainder_lab.host import python_module
from tests.lab.cluster.members import listens, run_members, stop

pytestmark = [pytest.mark.root, pytest.mark.bpf]

SUM3 = "src_ip + dst_ip + dst_port"
SUM5 = "src_ip + src_port + dst_ip + dst_port + protocol"
HASH = "hash(src_ip, src_port)"
SECRET = "8f1d0c5ab3e27946d1f0a86e35bc9247"
FORMULAS = [(SUM3, "modulo"), (SUM5, "modulo"), (SUM5, "maglev"), (HASH, "maglev")]
ETH_P_ALL = 0x0003
FLOOD_MAC = "02:00:5e:52:4d:44"


def assert_each_kept_by_one(selected: Selected) -> None:
    """All the ways in which a cluster could be wrong, each with its evidence."""
    assert () == selected.broken
    assert {} == selected.torn
    assert () == selected.misdirected
    assert selected.packets == selected.kept
    assert {sum(selected.kept.values())} == set(selected.heard.values())


# -- every packet is kept by one -------------------------------------------------------


@pytest.mark.parametrize("mode", ["native", "generic"])
def test_each_session_is_handled_by_exactly_the_member_that_the_calculation_names(
    scene: Cluster, file: Path, mode: str
) -> None:
    """500 TCP sessions and UDP for each formula: seen by all members, kept by one."""
    stop(scene, scene.members)
    run_members(scene, file, scene.config_text(mode=mode, secret=SECRET))
    for key, table in FORMULAS:
        text = scene.config_text(key=key, table=table, mode=mode, secret=SECRET)
        run_members(scene, file, text)
        selected = show_selection(scene, file)
        print(f"{mode} {key} {table}: kept {selected.kept}, each heard {selected.heard['m1']}")

        assert len(selected.sessions) == 600
        assert_each_kept_by_one(selected)
        assert all(selected.kept.values())

        assert {mode} == {
            report(host.namespace, "member")["mode"] for host in scene.members.values()
        }


def test_the_claims_formula_names_the_member_to_the_letter(scene: Cluster, file: Path) -> None:
    """Claims 29 and 41: (source + destination + destination port) % N is the member's number."""
    run_members(scene, file, scene.config_text(key=SUM3, table="modulo", mode="native"))
    members = list(scene.members)
    for version in scene.versions:
        sessions = http_sessions(
            scene.clients, scene.web(version), sources=scene.client_addresses[version]
        )
        numbers = [
            (int(item.flow.src_ip) + int(item.flow.dst_ip) + item.flow.dst_port) % len(members)
            for item in sessions
        ]

        assert [members[number] for number in numbers] == [item.server for item in sessions]


def test_status_proves_that_the_members_slots_are_the_whole_table(
    scene: Cluster, file: Path
) -> None:
    """No gap and no overlap, by what every member says of itself."""
    text = scene.config_text(weights={"m2": 3}, mode="native")
    run_members(scene, file, text)
    owned = {"shared": 0, "shared6": 0}
    for name, host in scene.members.items():
        for service in status(scene, name)["services"]:
            (own,) = [item for item in service["servers"] if item["name"] == host.namespace]
            owned[service["name"]] += own["slots"]

    nodes = ",".join(host.namespace for host in scene.members.values())
    agreed = scene.members["m1"].run(
        python_module("remainder", "agree", str(file), "--nodes", nodes)
    )

    assert {"shared": 65_537, "shared6": 65_537} == owned
    assert agreed.returncode == 0, agreed.stdout + agreed.stderr


def test_weights_share_the_sessions_and_a_weight_of_zero_takes_none(
    scene: Cluster, file: Path
) -> None:
    """A member of weight 0 hears everything and keeps nothing, so it may go unnoticed."""
    run_members(
        scene,
        file,
        scene.config_text(key=HASH, secret=SECRET, weights={"m1": 3, "m3": 0}, mode="native"),
    )
    selected = show_selection(scene, file)
    print(f"weights 3, 1, 0: kept {selected.kept}")

    assert_each_kept_by_one(selected)
    assert selected.kept["m3"] == 0
    assert 0.65 < selected.kept["m1"] / sum(selected.kept.values()) < 0.85


def test_a_mac_that_is_no_group_address_floods_as_well(scene: Cluster, file: Path) -> None:
    """NLB's unicast mode: nobody sends from the address, so every switch floods it."""
    stop(scene, scene.members)
    forget_shared_addresses(scene)
    text = scene.config_text(mode="native").replace("table =", f'mac = "{FLOOD_MAC}"\ntable =')
    run_members(scene, file, text)
    selected = show_selection(scene, file, tcp=100, udp=40)
    stop(scene, scene.members)
    known = neighbours_of(scene.router)
    forget_shared_addresses(scene)

    assert_each_kept_by_one(selected)
    assert {FLOOD_MAC} == {known[address] for address in SHARED.values()}


# -- the network's view ------------------------------------------------------------------


def test_who_asks_for_a_shared_address_is_told_the_clusters_mac_by_all_and_nothing_else(
    scene: Cluster, file: Path
) -> None:
    """ARP and neighbour discovery: one answer of each member, from its own MAC address."""
    run_members(scene, file, scene.config_text(mode="native"))
    own_mac = scene.router.mac("eth0")
    arp = Ether(dst="ff:ff:ff:ff:ff:ff", src=own_mac) / ARP(
        op=1, hwsrc=own_mac, psrc=numbering.ROUTER[4], pdst=SHARED[4]
    )
    group = "ff02::1:ff" + ip_address(SHARED[6]).exploded[-7:]
    solicitation = (
        Ether(dst="33:33:ff:00:00:10", src=own_mac)
        / IPv6(src=numbering.ROUTER[6], dst=group, hlim=255)
        / ICMPv6ND_NS(tgt=SHARED[6])
        / ICMPv6NDOptSrcLLAddr(lladdr=own_mac)
    )
    macs = sorted(host.mac("eth0") for host in scene.members.values())
    replies = [Ether(frame) for frame in asked(scene.router, bytes(arp), b"\x08\x06")]
    adverts = [Ether(frame) for frame in asked(scene.router, bytes(solicitation), b"\x86\xdd")]

    assert macs == sorted(reply.src for reply in replies)
    assert {(2, CLUSTER_MAC, SHARED[4])} == {
        (reply[ARP].op, reply[ARP].hwsrc, reply[ARP].psrc) for reply in replies
    }
    assert macs == sorted(advert.src for advert in adverts)
    assert {(136, CLUSTER_MAC, SHARED[6])} == {
        (advert[IPv6].payload.type, advert[IPv6].payload.lladdr, advert[IPv6].payload.tgt)
        for advert in adverts
    }


def test_a_router_learns_the_clusters_mac_and_each_members_own(scene: Cluster, file: Path) -> None:
    """The members stay reachable by their own addresses, by their own MAC addresses."""
    run_members(scene, file, scene.config_text(mode="native"))
    show_selection(scene, file, tcp=20, udp=4)
    for name, version in (("m1", 4), ("m3", 6)):
        target = endpoint(ip_address(numbering.server_address(name, version)), 80)
        (direct,) = http_sessions(scene.router, target, sources=[numbering.ROUTER[version]])

        assert name == direct.server
    known = neighbours_of(scene.router)

    assert {CLUSTER_MAC} == {known[address] for address in SHARED.values()}
    assert scene.members["m1"].mac("eth0") == known[numbering.server_address("m1", 4)]
    assert scene.members["m3"].mac("eth0") == known[numbering.server_address("m3", 6)]


# -- many, and mistakes --------------------------------------------------------------------


@pytest.mark.slow
def test_sixteen_members_divide_the_sessions(file: Path) -> None:
    """Every packet is heard sixteen times and kept once."""
    with SCENES["cluster"](members=16) as many:
        assert isinstance(many, Cluster)
        many.start_servers()
        file.write_text(many.config_text(key=HASH, secret=SECRET, mode="native"))
        many.start_nodes(file, ready_s=60)
        selected = show_selection(many, file)
    print(f"16 members: kept {selected.kept}")

    assert_each_kept_by_one(selected)
    assert all(selected.kept.values())


def test_mistakes_are_said_in_a_sentence_and_change_nothing(scene: Cluster, file: Path) -> None:
    """A node that the file does not name, a member twice, --interface for several roles."""
    stop(scene, scene.members)
    good = scene.config_text(servers=["m1", "m2"])
    m1, m2, m3 = (host.namespace for host in scene.members.values())
    twice = good.replace(m2, m1)
    both = good + f'[[balancer]]\nname = "{m1}"\ninterface = "eth0"\n' + WEB
    cases = [
        (good, m3, [], f"no node named {m3!r} in the file, only {m1}, {m2}; choose with --node"),
        (twice, m1, [], f"{m1!r}"),
        (both, m1, ["--interface", "eth0"], "set the interfaces in"),
        (both, m1, [], "give each role its own interface"),
        (good, m1, ["--interface", "eth7"], "no interface named 'eth7' on this host"),
    ]
    for text, node, arguments, sentence in cases:
        file.write_text(text)
        done = scene.members["m1"].run(
            python_module("remainder", "run", str(file), "--node", node, *arguments)
        )

        assert done.returncode != 0
        assert sentence in done.stderr
        assert "Traceback" not in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    done = scene.members["m1"].run(python_module("remainder", "status", "--node", m1))

    assert done.returncode != 0
    assert listens(scene.members["m1"]) == 0


WEB = """
[[service]]
name = "web"
vip = "203.0.113.10"
port = 80
protocol = "tcp"
key = "src_ip"
table = "modulo"
servers = [{ name = "s1", address = "192.0.2.12" }]
"""


def status(scene: Cluster, name: str) -> dict[str, Any]:
    """``remainder status --json`` of a member."""
    host = scene.members[name]
    done = host.run(
        [sys.executable, "-m", "remainder", "status", "--node", host.namespace, "--json"]
    )
    (node,) = json.loads(done.stdout)["nodes"]

    assert report(host.namespace, "member")["fingerprint"] == node["fingerprint"]
    return dict(node)


def forget_shared_addresses(scene: Cluster) -> None:
    """Let the router ask anew."""

    def forget(ip: Any) -> None:
        index = ip.link_lookup(ifname="eth0")[0]
        for known in list(ip.get_neighbours(ifindex=index)):
            if known.get("dst") in SHARED.values():
                ip.neigh("del", dst=known.get("dst"), ifindex=index, family=known["family"])

    scene.router.netlink(forget)


def asked(host: Host, frame: bytes, ethertype: bytes) -> list[bytes]:
    """Send a frame from a host, and return what comes back to its MAC address in half a second."""
    packets = host.call(packet_socket)
    with packets:
        packets.send(frame)
        answers, deadline_s = [], time.monotonic() + 0.5
        while (left_s := deadline_s - time.monotonic()) > 0:
            if select.select([packets], [], [], left_s)[0]:
                came, where = packets.recvfrom(2048)
                is_ours = came[:6] == frame[6:12] and came[12:14] == ethertype
                if is_ours and where[2] != socket.PACKET_OUTGOING:
                    answers.append(came)
    return answers


def packet_socket() -> socket.socket:
    """Everything on eth0 of the current namespace."""
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    packets.bind(("eth0", ETH_P_ALL))
    return packets
