"""No session table: a million strangers leave no trace (claims 3 to 5)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from remainder.flow import Flow
from remainder.kernel import pins
from remainder.observe.report import report
from remainder.reference.frame import frame_of
from remainder_lab import OneService, hold_sessions, http_sessions, one_service

pytestmark = [pytest.mark.root, pytest.mark.bpf, pytest.mark.slow]

FLOWS = 1_000_000
OPEN = 100


@pytest.fixture
def scene() -> Iterator[OneService]:
    """Clients, router, balancer and four servers that serve."""
    with one_service() as built:
        built.start_servers()
        yield built


def _flood(scene: OneService, interface: str) -> int:
    """Send as many flows as promised, each once, as the router would; returns how many.

    Their UDP checksums are wrong, so the servers drop them at once.
    """
    source, target = (host.mac_bytes(interface) for host in (scene.router, scene.balancer))
    flow = Flow(ip_address("198.18.0.0"), 1024, ip_address(scene.vips[4]), 7, 17)
    frame = bytearray(frame_of(flow, source_mac=source, destination_mac=target))
    frame[40:42] = b"\xba\xad"
    packets = scene.router.call(_socket, interface)
    write, send = struct.Struct("!I").pack_into, packets.send
    for number in range(FLOWS):
        write(frame, 26, 0xC6120000 + (number & 0xFFFF))
        # What the address adds to the header's checksum the identification takes away.
        frame[18:20] = (0xFFFF - (number & 0xFFFF)).to_bytes(2, "big")
        frame[34:36] = (1024 + (number >> 16)).to_bytes(2, "big")
        send(frame)
    packets.close()
    return FLOWS


def _socket(interface: str) -> socket.socket:
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    packets.bind((interface, 0))
    return packets


def _memory_of_maps(node: str) -> dict[str, str]:
    attached = pins.find(node)
    assert attached is not None
    return {
        name: next(
            line
            for line in Path(f"/proc/self/fdinfo/{kernel_map.fd}").read_text().splitlines()
            if line.startswith("memlock")
        )
        for name, kernel_map in attached.dataplane.maps.items()
    }


def _memory_of_process(pid: int) -> int:
    """Resident kB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


@pytest.mark.timeout(180)
def test_a_million_flows_leave_memory_and_sessions_as_they_were(
    scene: OneService, tmp_path: Path
) -> None:
    """Maps and process keep their size to the kilobyte, and who was connected stays connected."""
    path = tmp_path / "r.toml"
    path.write_text(scene.config_text(key="src_ip + src_port + dst_ip + dst_port + protocol"))
    process = scene.start_balancer(path, "--mode", "native")
    sources = scene.client_addresses[4]
    http_sessions(scene.clients, scene.web(), sources=sources, sessions=50)
    with hold_sessions(scene.clients, scene.web(), sources=sources, sessions=OPEN) as held:
        maps, memory = _memory_of_maps(scene.node), _memory_of_process(process.pid)
        before = report(scene.node)["outcomes"]["forwarded"]["packets"]
        sent = _flood(scene, "eth0")
        forwarded = report(scene.node)["outcomes"]["forwarded"]["packets"] - before
        maps_after, memory_after = _memory_of_maps(scene.node), _memory_of_process(process.pid)
        opened = held.stop()
    print(
        f"\n{sent:,} flows sent, {forwarded:,} packets forwarded; "
        f"process {memory} → {memory_after} kB"
    )

    assert forwarded >= FLOWS * 0.99  # a full ring of the veth may lose a few
    assert maps == maps_after
    assert memory_after - memory <= 64
    assert OPEN == len(opened)
    assert [] == [item for item in opened if not item.ok]
