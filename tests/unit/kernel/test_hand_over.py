"""A planned stop names another balancer, never a server that answers for the VIP by mistake."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Final

import pytest

from remainder.kernel import announce

VIP: Final = ip_address("203.0.113.10")
OURS: Final = b"\2\0\0\0\0\1"
OTHER: Final = b"\2\0\0\0\0\2"
SERVER: Final = b"\2\0\0\0\1\x0b"


def reply(mac: bytes) -> bytes:
    """Who has VIP?  I, at ``mac``."""
    head = OURS + OTHER + struct.pack("!HHHBBH", 0x0806, 1, 0x0800, 6, 4, 2)
    return head + mac + VIP.packed + OURS + bytes(4)


def said(monkeypatch: pytest.MonkeyPatch, *answers: bytes) -> tuple[frozenset[object], list[bytes]]:
    """(VIPs handed over, frames after the question), if these answer."""
    segment, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)

    @contextmanager
    def packets(_: int) -> Iterator[socket.socket]:
        yield ours

    monkeypatch.setattr(announce, "_packets", packets)
    monkeypatch.setattr(announce, "ANSWER_S", 0.05)
    with segment, ours:
        for mac in answers:
            segment.send(reply(mac))
        handed = announce.hand_over(1, OURS, {VIP}, {SERVER})
        segment.settimeout(0)
        frames = []
        while True:
            try:
                frames.append(segment.recv(2048))
            except BlockingIOError:
                return frozenset(handed), frames[1:]


def test_another_balancer_is_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = announce.announcement(VIP, OTHER, sender=OURS)

    assert (frozenset({VIP}), [expected]) == said(monkeypatch, OTHER)
    assert (frozenset({VIP}), [expected]) == said(monkeypatch, SERVER, OTHER)


@pytest.mark.parametrize("mac", [SERVER, OURS, bytes(6), b"\xff" * 6])
def test_whoever_is_no_balancer_is_not(monkeypatch: pytest.MonkeyPatch, mac: bytes) -> None:
    assert (frozenset(), []) == said(monkeypatch, mac)
