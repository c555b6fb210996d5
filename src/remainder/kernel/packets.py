"""Frames to and from a segment, past our own stack: what a diagnosis asks with.

Only ARP, ICMP and ICMPv6 without a VLAN tag come in; the kernel drops the rest before
it is copied, so a busy interface costs no more than a quiet one.
"""

from __future__ import annotations

import array
import select
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from remainder.errors import HostError
from remainder.kernel.netlink import Interface

_ETH_P_ALL: Final = 3
_SO_ATTACH_FILTER: Final = 26
_SOL_PACKET: Final = 263
_PACKET_IGNORE_OUTGOING: Final = 23
_LARGEST: Final = 2048
_BUFFER_BYTES: Final = 1 << 20

_VLAN_TAG_PRESENT: Final = 0xFFFF_F000 + 48
_FILTER: Final = (
    # (opcode, jump if true, jump if false, operand), see linux/filter.h
    (0x30, 0, 0, _VLAN_TAG_PRESENT),
    (0x15, 0, 9, 0),
    (0x28, 0, 0, 12),  # EtherType
    (0x15, 6, 0, 0x0806),
    (0x15, 0, 2, 0x0800),
    (0x30, 0, 0, 23),  # protocol of IPv4
    (0x15, 3, 4, 1),
    (0x15, 0, 3, 0x86DD),
    (0x30, 0, 0, 20),  # next header of IPv6
    (0x15, 0, 1, 58),
    (0x06, 0, 0, _LARGEST),
    (0x06, 0, 0, 0),
)


class Wire(Protocol):
    """Frames out and in, and a clock."""

    def send(self, frame: bytes, /) -> None:
        """Send a whole frame; one that the host refuses just now is lost."""

    def heard(self, patience_s: float, /) -> bytes | None:
        """The next frame; None if there is none for so long."""

    def now_s(self) -> float:
        """A clock that only goes forward."""


class PacketSocket:
    """A ``Wire`` of an interface.  Made by ``opened``."""

    def __init__(self, packets: socket.socket) -> None:
        self._packets = packets

    def send(self, frame: bytes) -> None:
        """A full queue, or a link that is down, loses it."""
        try:
            self._packets.send(frame)
        except OSError:
            return

    def heard(self, patience_s: float) -> bytes | None:
        """A link that goes down is silent."""
        if not select.select([self._packets], [], [], max(patience_s, 0.0))[0]:
            return None
        try:
            return self._packets.recv(_LARGEST)
        except OSError:
            return None

    def now_s(self) -> float:
        """Of this machine."""
        return time.monotonic()


@contextmanager
def opened(interface: Interface) -> Iterator[PacketSocket]:
    """Frames of an interface, for as long as the block runs.

    Raises HostError where it is not allowed: without CAP_NET_RAW, or if the systemd
    unit forbids it.
    """
    try:
        # Bound first: protocol 0 hears nothing until the filter is in place.
        packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    except OSError as error:
        raise HostError(
            f"asking the segment of {interface.name} requires CAP_NET_RAW ({error.strerror})",
            id="needs-root",
        ) from None
    with packets:
        try:
            _attach_filter(packets)
            packets.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
            packets.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
            packets.bind((interface.name, _ETH_P_ALL))
        except OSError as error:
            raise HostError(f"cannot listen on {interface.name} ({error.strerror})") from None
        yield PacketSocket(packets)


def _attach_filter(packets: socket.socket) -> None:
    program = array.array("B", b"".join(struct.pack("HBBI", *step) for step in _FILTER))
    address, _ = program.buffer_info()
    packets.setsockopt(
        socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(_FILTER), address)
    )
