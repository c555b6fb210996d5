"""BIG TCP: a server whose stack hands on more at once than the length of an IP header can say."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final

import pytest

from remainder.observe.report import report
from remainder_lab import flow_of, transfer
from remainder_lab.return_path import ReturnPath
from tests.lab.tap import Tap

pytestmark = [pytest.mark.root, pytest.mark.bpf]

AT_ONCE: Final = 150_000
PLAIN: Final = 65_536
LENGTH: Final = 20 << 20
LARGEST_SAID: Final = {4: 14 + 0xFFFF, 6: 14 + 40 + 0xFFFF}
"""Ethernet, what IPv6 does not count, and as much as 16 bits can say."""

IFLA_GSO_MAX_SIZE: Final = 41
IFLA_GSO_IPV4_MAX_SIZE: Final = 63
RTM_NEWLINK: Final = 16
REQUEST_AND_ACK: Final = 1 | 4


@pytest.fixture
def big(scene: ReturnPath) -> Iterator[ReturnPath]:
    """As ``ip link set dev eth0 gso_max_size 150000 gso_ipv4_max_size 150000`` on every server."""
    for server in scene.servers.values():
        index = server.interface("eth0").index
        for attribute in (IFLA_GSO_MAX_SIZE, IFLA_GSO_IPV4_MAX_SIZE):
            server.call(_set_link, index, attribute, AT_ONCE)
    yield scene
    for server in scene.servers.values():
        server.call(_set_link, server.interface("eth0").index, IFLA_GSO_MAX_SIZE, PLAIN)  # of both


@pytest.mark.parametrize("version", [4, 6])
def test_frames_beyond_what_a_header_can_say_take_the_router_of_their_session(
    big: ReturnPath, version: int
) -> None:
    """20 MiB from a server: nothing is malformed, and every byte that leaves is ``returned``."""
    before = counted(big)
    with ExitStack() as stack:
        taps = [stack.enter_context(Tap(host, "eth0")) for host in big.servers.values()]
        source = big.client_addresses[version][0]
        bodies = transfer(big.clients, big.web(version), source=source, length=LENGTH)
        sent = [frame for tap in taps for frame in tap.frames() if frame.sent]
    after = counted(big)
    flows = {body.flow.reversed() for body in bodies}
    lengths = [frame.length for frame in sent if flow_of(frame.start) in flows]
    jumbo = [length for length in lengths if length > LARGEST_SAID[version]]
    moved = {
        name: (after[name][0] - before[name][0], after[name][1] - before[name][1])
        for name in ("returned", "malformed", "unresolved", "not_vip")
    }
    print(f"{len(lengths)} frames, {len(jumbo)} of them jumbo, up to {max(lengths)} bytes; {moved}")

    assert ["down", "up"] == [body.direction for body in bodies]
    assert [] == [body for body in bodies if not body.ok]
    assert len(jumbo) > 10
    assert (0, 0) == moved["malformed"] == moved["unresolved"]
    assert sum(lengths) > LENGTH
    assert (len(lengths), sum(lengths)) == moved["returned"]


def counted(scene: ReturnPath) -> dict[str, tuple[int, int]]:
    """Outcome → packets and bytes, of all senders together."""
    total: dict[str, tuple[int, int]] = {}
    for host in scene.servers.values():
        for outcome, count in report(host.namespace, "sender")["outcomes"].items():
            packets, size = total.get(outcome, (0, 0))
            total[outcome] = packets + count["packets"], size + count["bytes"]
    return total


def _set_link(index: int, attribute: int, value: int) -> None:
    """RTM_NEWLINK by hand: neither pyroute2 nor the ``ip`` of Debian 12 knows the IPv4 one."""
    link = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, 0, 0)
    body = link + struct.pack("=HHI", 8, attribute, value)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as door:
        door.send(struct.pack("=IHHII", 16 + len(body), RTM_NEWLINK, REQUEST_AND_ACK, 1, 0) + body)
        (error,) = struct.unpack_from("=i", door.recv(4096), 16)

    assert 0 == error
