"""Law 17: a packet ends, also on a real circle of two balancers that name each other as servers."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final

import pytest

from remainder.observe.report import report
from remainder_lab import Ecmp, ecmp
from remainder_lab.numbering import VIPS, on_segment
from tests import frames

pytestmark = [pytest.mark.root, pytest.mark.bpf]

CLIENT: Final = {4: "198.51.100.7", 6: "2001:db8:51::7"}
OF_A_CIRCLE: Final = ("forwarded", "forwarded_error", "ttl_expired", "unresolved", "malformed")
"""What may become of a packet to the service; neighbours ask for one another meanwhile."""

OTHER: Final = {"lb1": "lb2", "lb2": "lb1"}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ecmp]:
    """Two balancers that run, each with the other as the only server of every service."""
    folder = tmp_path_factory.mktemp("circle")
    with ecmp(servers=1, clients=1) as built:
        started = []
        for name in built.nodes:
            file = folder / f"{name}.toml"
            file.write_text("\n".join(section(version, OTHER[name]) for version in built.versions))
            started.append(built.launch_balancer(name, file, "--mode", "native"))
        for process in started:
            process.wait_for("ready", timeout_s=30)
        yield built


def section(version: int, server: str) -> str:
    address = on_segment(server, version).partition("/")[0]
    return (
        f'[[service]]\nname = "web{version}"\nvip = "{VIPS[version]}"\nport = 80\n'
        f'protocol = "tcp"\nkey = "src_ip + dst_ip + dst_port"\ntable = "modulo"\n'
        f'servers = [{{ name = "{server}", address = "{address}" }}]\n'
    )


def counted(scene: Ecmp) -> dict[str, int]:
    """Outcome → packets, of both balancers together."""
    total: dict[str, int] = {}
    for host in scene.nodes.values():
        for outcome, count in report(host.namespace)["outcomes"].items():
            total[outcome] = total.get(outcome, 0) + count["packets"]
    return total


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("ttl", [2, 64, 255])
def test_one_packet_between_two_balancers_goes_round_until_its_ttl_is_spent(
    scene: Ecmp, version: int, ttl: int
) -> None:
    client, vip = ip_address(CLIENT[version]), ip_address(VIPS[version])
    packet = frames.ip(client, vip, protocol=6, payload=frames.tcp(4321, 80), ttl=ttl)
    frame = frames.ethernet(
        scene.nodes["lb1"].mac_bytes("eth0"),
        scene.router.mac_bytes("eth0"),
        ethertype=frames.ETHERTYPE[version],
        payload=packet,
    )
    before = counted(scene)
    scene.router.call(_send, frame)
    deadline_s = time.monotonic() + 3
    while counted(scene)["ttl_expired"] == before["ttl_expired"] and time.monotonic() < deadline_s:
        time.sleep(0.05)
    time.sleep(0.2)  # nothing more may come
    after = counted(scene)
    moved = {name: after[name] - before[name] for name in OF_A_CIRCLE}

    assert {**dict.fromkeys(OF_A_CIRCLE, 0), "forwarded": ttl - 1, "ttl_expired": 1} == moved


def _send(frame: bytes) -> None:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as packets:
        packets.bind(("eth0", 0))
        packets.send(frame)
