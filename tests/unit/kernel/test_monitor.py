"""What the kernel tells of any interface must not end the listening to ours."""

from __future__ import annotations

import errno
import queue
import socket
import struct
from ipaddress import ip_address
from typing import Any, Final

import pytest

from remainder.kernel.monitor import Learned, Monitor, Touched
from remainder.kernel.netlink import interface_of

IPV4, BRIDGE = 2, 7
_RTM_NEWNEIGH = 28
_REACHABLE = 2
_NDA_DST, _NDA_LLADDR = 1, 2
MAC: Final = b"\2\0\0\0\0\x0b"
OURS: Final = ip_address("192.0.2.11")


def neighbour(family: int, address: bytes, hardware: bytes) -> bytes:
    """RTM_NEWNEIGH as the kernel puts it."""
    body = struct.pack("=BxxxiHBB", family, 7, _REACHABLE, 0, 1)
    for kind, value in ((_NDA_DST, address), (_NDA_LLADDR, hardware)):
        body += struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)
    return struct.pack("=IHHII", 16 + len(body), _RTM_NEWNEIGH, 0, 0, 0) + body


class Kernel:
    """A socket on which messages arrive."""

    def __init__(self, messages: list[bytes]) -> None:
        self.messages = messages

    def bind(self, address: object) -> None:
        del address

    def recv(self, size: int) -> bytes:
        if not self.messages:
            raise OSError(errno.EBADF, "closed")
        return self.messages.pop(0)[:size]


@pytest.mark.parametrize(
    ("strange", "expected"),
    [
        (neighbour(IPV4, b"\x0a\x09\x00\x02", b"\xc0\x00\x02\x09"), [Learned]),  # of a GRE tunnel
        (neighbour(BRIDGE, OURS.packed, b"\2\0\0\0\0\x0c"), []),  # of a VXLAN's table
        (struct.pack("=IHHII", 4, _RTM_NEWNEIGH, 0, 0, 0), [Touched]),
    ],
    ids=["of a tunnel", "of a bridge", "broken"],
)
def test_a_message_of_another_kind_does_not_end_the_listening(
    monkeypatch: pytest.MonkeyPatch, strange: bytes, expected: list[type]
) -> None:
    good = neighbour(IPV4, OURS.packed, MAC)
    monkeypatch.setattr(socket, "socket", lambda *_: Kernel([strange, good]))
    events: queue.SimpleQueue[Any] = queue.SimpleQueue()
    Monitor(events)
    found = [events.get(timeout=5) for _ in range(len(expected) + 1)]

    assert [*expected, Learned] == [type(event) for event in found]
    assert (OURS, MAC) == (found[-1].neighbour.address, found[-1].neighbour.mac)


def test_a_tunnel_whose_hardware_address_is_an_ip_address_is_read() -> None:
    sit = {"index": 4, "ifname": "sit0", "flags": 0, "ifi_type": 776, "address": "192.0.2.1"}

    assert not interface_of(sit).ethernet
