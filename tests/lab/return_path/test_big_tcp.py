"""IPv6 BIG TCP: a server whose stack hands on more at once than an IPv6 header can say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Final

import pytest

from remainder.observe.report import report
from remainder_lab import flow_of, transfer
from remainder_lab.return_path import ReturnPath
from tests.lab.tap import Tap

pytestmark = [pytest.mark.root, pytest.mark.bpf]

AT_ONCE: Final = 150_000
PLAIN: Final = 65_536
LENGTH: Final = 20 << 20
LARGEST_SAID: Final = 14 + 40 + 0xFFFF
"""Ethernet, IPv6, and as much as a payload length of 16 bits can say."""


@pytest.fixture
def big(scene: ReturnPath) -> Iterator[ReturnPath]:
    """As ``ip link set dev eth0 gso_max_size 150000`` on every server."""
    for server in scene.servers.values():
        server.netlink(_hand_on, AT_ONCE)
    yield scene
    for server in scene.servers.values():
        server.netlink(_hand_on, PLAIN)


def test_frames_beyond_the_payload_length_take_the_router_of_their_session(big: ReturnPath) -> None:
    """20 MiB from a server: nothing is malformed, and every byte that leaves is ``returned``."""
    before = counted(big)
    with ExitStack() as stack:
        taps = [stack.enter_context(Tap(host, "eth0")) for host in big.servers.values()]
        bodies = transfer(big.clients, big.web(6), source=big.client_addresses[6][0], length=LENGTH)
        sent = [frame for tap in taps for frame in tap.frames() if frame.sent]
    after = counted(big)
    flows = {body.flow.reversed() for body in bodies}
    lengths = [frame.length for frame in sent if flow_of(frame.start) in flows]
    moved = {
        name: (after[name][0] - before[name][0], after[name][1] - before[name][1])
        for name in ("returned", "malformed", "unresolved", "not_vip")
    }
    jumbo = [length for length in lengths if length > LARGEST_SAID]
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


def _hand_on(ip: Any, size: int) -> None:
    (index,) = ip.link_lookup(ifname="eth0")
    ip.link("set", index=index, gso_max_size=size)
