"""A flood at a pace, each packet from another source, and the dam that stops it.

Sources are 198.18.0.0/15 (RFC 2544: for benchmarks).
Twin: bpf/flood.bpf.c.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from remainder.errors import HostError
from remainder.flow import Flow
from remainder.kernel import libbpf
from remainder.reference.frame import frame_of, internet_checksum

FLOOD: Final = Path(__file__).parent / "bpf" / "flood.bpf.o"
HEADERS: Final = 56
CATCH_UP: Final = 3 / 4
"""Who is late sends a third faster: the gap between two groups is this share of the usual."""

LOOK_NS: Final = 40_000
"""So long may the kernel wait for the next packets before it lets others run."""

MOST_IN_A_GROUP: Final = 64


class Flood(ctypes.Structure):
    """``struct flood``."""

    _fields_ = (
        ("headers", ctypes.c_uint8 * HEADERS),
        ("interval_ps", ctypes.c_uint64),
        ("group", ctypes.c_uint64),
        ("gap_ns", ctypes.c_uint64),
        ("first", ctypes.c_uint64),
        ("packets", ctypes.c_uint64),
        ("start_ns", ctypes.c_uint64),
        ("last_ns", ctypes.c_uint64),
    )


@dataclass(frozen=True, slots=True)
class Sent:
    """What one call of the flood sent."""

    packets: int
    took_s: float


class Sender:
    """The loaded flood."""

    def __init__(self) -> None:
        with libbpf.opened(FLOOD) as opened:
            opened.load("send")
            self.program_fd = opened.program_fd("send")
            self._data = opened.map(".data.flood")
        size = -(-ctypes.sizeof(Flood) // mmap.PAGESIZE) * mmap.PAGESIZE
        self._flood = Flood.from_buffer(mmap.mmap(self._data.fd, size))

    def prepare(self, frame: bytes, *, per_s: int, first: int) -> None:
        """Set the pace, and the number of the first source."""
        flood, group = self._flood, group_of(per_s)
        ctypes.memmove(flood.headers, frame[:HEADERS], HEADERS)
        flood.interval_ps = 10**12 // per_s
        flood.group = group - 1
        flood.gap_ns = round(CATCH_UP * group * 10**9 / per_s)
        flood.first, flood.packets, flood.last_ns = first, 0, 0

    def send(self, frame: bytes, *, ifindex: int, per_s: int, packets: int, first: int) -> Sent:
        """Send so many out of an interface; a signal ends it; returns how many were sent."""
        self.prepare(frame, per_s=per_s, first=first)
        batch = group_of(per_s)
        try:
            libbpf.send_live(self.program_fd, frame, ifindex=ifindex, repeat=packets, batch=batch)
        except HostError as error:
            if libbpf.errno_of(error) != errno.EINTR:
                raise
        return Sent(int(self._flood.packets), (self._flood.last_ns - self._flood.start_ns) / 1e9)

    def close(self) -> None:
        """Unload."""
        os.close(self.program_fd)
        self._data.close()


class Dam:
    """The loaded program for the servers."""

    def __init__(self) -> None:
        with libbpf.opened(FLOOD) as opened:
            opened.load("dam")
            self.program_fd = opened.program_fd("dam")
            self._stopped = opened.map("stopped")

    def packets(self) -> int:
        """How many packets of the flood have ended here."""
        cpus = libbpf.possible_cpus()
        return sum(struct.unpack(f"={cpus}Q", self._stopped.lookup(0, 8 * cpus)))

    def close(self) -> None:
        """Unload; where it is attached it stays."""
        os.close(self.program_fd)
        self._stopped.close()


def group_of(per_s: int) -> int:
    """How many packets go out together: a power of two that is soon full."""
    group = 1
    while group < MOST_IN_A_GROUP and 2 * group * 10**9 <= LOOK_NS * per_s:
        group *= 2
    return group


def syn_of(flow: Flow, *, source_mac: bytes, destination_mac: bytes) -> bytes:
    """A SYN whose checksums stay true for every source, as the flood writes it."""
    if flow.version != 4 or flow.protocol != 6:
        raise ValueError(f"{flow} is not of IPv4 and TCP")
    frame = bytearray(frame_of(flow, source_mac=source_mac, destination_mac=destination_mac))
    varied = internet_checksum(bytes(frame[26:30])) ^ 0xFFFF
    frame[18:20] = (varied ^ 0xFFFF).to_bytes(2, "big")
    frame[24:26] = b"\0\0"
    frame[24:26] = internet_checksum(bytes(frame[14:34])).to_bytes(2, "big")
    frame[38:40] = internet_checksum(bytes(frame[26:30] + frame[34:36])).to_bytes(2, "big")
    frame[50:52] = b"\0\0"
    pseudo = bytes(frame[26:34]) + struct.pack("!HH", 6, 20)
    frame[50:52] = internet_checksum(pseudo + bytes(frame[34:54])).to_bytes(2, "big")
    return bytes(frame)
