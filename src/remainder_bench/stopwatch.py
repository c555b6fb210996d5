"""How long an XDP program takes for a packet, in memory (BPF_PROG_TEST_RUN).

A driver program restores the packet, writes the next flow into it, and tail-calls
the program under test; it reads the clock once a chunk.  Nothing is attached, and
the program is not modified.
Twin: bpf/driver.bpf.c; the reference programs are bpf/peers.bpf.c,
the ends of a wire bpf/ends.bpf.c.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import statistics
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from remainder.errors import HostError
from remainder.kernel import libbpf
from remainder.kernel.libbpf import Map

BPF: Final = Path(__file__).parent / "bpf"
DRIVER: Final = BPF / "driver.bpf.o"
PEERS: Final = BPF / "peers.bpf.o"
ENDS: Final = BPF / "ends.bpf.o"

FRAME_BYTES: Final = 128
"""Of a frame, so many bytes are restored: the headers."""

CHUNKS: Final = 32
CHUNK_SHIFT: Final = 13
"""2**13 packets of about 40 ns: a third of a millisecond, between two ticks of the clock."""

EVERY_PACKET_NEW: Final = 0xFFFF_FFFF
VERDICTS: Final = ("aborted", "drop", "pass", "tx", "redirect")
"""``enum xdp_action``"""


class Watch(ctypes.Structure):
    """``struct watch``."""

    _fields_ = (
        ("frame", ctypes.c_uint8 * FRAME_BYTES),
        ("length", ctypes.c_uint32),
        ("wide", ctypes.c_uint32),
        ("source_at", ctypes.c_uint32),
        ("ports_at", ctypes.c_uint32),
        ("ports", ctypes.c_uint32),
        ("ports_shift", ctypes.c_uint32),
        ("vip_at", ctypes.c_uint32),
        ("vip_again_at", ctypes.c_uint32),
        ("source", ctypes.c_uint64),
        ("vip", ctypes.c_uint64),
        ("vips", ctypes.c_uint32),
        ("flow_mask", ctypes.c_uint32),
        ("first", ctypes.c_uint64),
        ("packets", ctypes.c_uint64),
        ("chunk_shift", ctypes.c_uint64),
        ("stamps", ctypes.c_uint64 * (CHUNKS + 1)),
    )


@dataclass(frozen=True, slots=True)
class Template:
    """A frame, and where the next flow is written into it."""

    frame: bytes
    version: int
    source_at: int
    """where the client's address stands; of IPv6 the low half is written"""
    vip_at: int
    vip_again_at: int
    """an ICMP error has the VIP twice; else the same as ``vip_at``"""
    ports_at: int
    client_first: bool
    """whether the first of the two ports is the client's"""
    vips: int = 1
    """so many VIPs in a row, from that of the frame on, are written by turns"""


@dataclass(frozen=True, slots=True)
class Lap:
    """One run of many packets."""

    ns: float
    """for one packet, the driver's part included; the median of the chunks"""
    verdict: str
    """of the last packet"""
    packets: int


class _Driver:
    """The driver, loaded for programs that take frames of several buffers, or for the others.

    The kernel lets a program jump to programs of its own kind alone.
    """

    def __init__(self, *, buffers: bool) -> None:
        with libbpf.opened(DRIVER) as opened:
            if buffers:
                opened.take_buffers("driver")
            opened.load("driver")
            self.fd = opened.program_fd("driver")
            self._under_test = opened.map("under_test")
            self._data = opened.map(".data.watch")
        size = -(-ctypes.sizeof(Watch) // mmap.PAGESIZE) * mmap.PAGESIZE
        self.watch = Watch.from_buffer(mmap.mmap(self._data.fd, size))

    def jump_to(self, program_fd: int) -> None:
        """Run this one.  Raises HostError if it is of another kind."""
        self._under_test.update(0, struct.pack("=I", program_fd))

    def close(self) -> None:
        """Unload."""
        os.close(self.fd)
        self._under_test.close()
        self._data.close()


class Stopwatch:
    """The loaded drivers: one that fits our programs, and for other kinds a second."""

    def __init__(self) -> None:
        self._drivers = [_Driver(buffers=True)]
        self._in_use = self._drivers[0]
        self._flow = 0

    @property
    def _driver(self) -> int:
        return self._in_use.fd

    @property
    def _watch(self) -> Watch:
        return self._in_use.watch

    def one(self, program_fd: int, template: Template) -> tuple[str, bytes]:
        """A single packet: (verdict, frame afterwards)."""
        self._prepare(program_fd, template, 1)
        self._watch.first = 0  # the client and the VIP of the template itself
        verdict, frame = libbpf.test_run(self._driver, template.frame)
        return _verdict(verdict), frame

    def run(
        self, program_fd: int, template: Template, *, flows: int, chunk_shift: int = CHUNK_SHIFT
    ) -> Lap:
        """Time a program over ``flows`` different flows, a power of two or EVERY_PACKET_NEW.

        Successive runs go on in the sequence of flows, so that new ones are new.
        """
        self._prepare(program_fd, template, flows)
        self._watch.chunk_shift = chunk_shift
        packets = (CHUNKS << chunk_shift) + 1  # one more, to stamp the end of the last chunk
        verdict, _ = libbpf.test_run(self._driver, template.frame, repeat=packets)
        return self._lap(_verdict(verdict), packets)

    def send(
        self, program_fd: int, template: Template, *, ifindex: int, flows: int, chunk_shift: int
    ) -> Lap:
        """Send packets for real, as the program says (XDP_TX: out of the interface).

        Where the receiver works on the same CPU, its time is in the result.
        """
        self._prepare(program_fd, template, flows)
        self._watch.chunk_shift = chunk_shift
        packets = (CHUNKS << chunk_shift) + 1
        libbpf.send_live(self._driver, template.frame, ifindex=ifindex, repeat=packets)
        return self._lap("tx", packets)

    def _lap(self, verdict: str, packets: int) -> Lap:
        self._flow += packets
        took_ns = [later - sooner for sooner, later in pairwise(self._watch.stamps)]
        ns = statistics.median(took_ns) / (1 << self._watch.chunk_shift)
        return Lap(ns=ns, verdict=verdict, packets=packets)

    def _prepare(self, program_fd: int, template: Template, flows: int) -> None:
        self._choose(program_fd)
        frame, watch = template.frame, self._watch
        headers = frame[:FRAME_BYTES]
        ctypes.memmove(watch.frame, headers.ljust(FRAME_BYTES, b"\0"), FRAME_BYTES)
        low = 8 if template.version == 6 else 4
        first, second = struct.unpack_from("<HH", frame, template.ports_at)
        watch.length = len(frame)
        watch.wide = template.version == 6
        watch.source_at, watch.ports_at = template.source_at, template.ports_at
        watch.ports = second << 16 if template.client_first else first
        watch.ports_shift = 0 if template.client_first else 16
        watch.vip_at, watch.vip_again_at = template.vip_at, template.vip_again_at
        watch.source = int.from_bytes(frame[template.source_at :][:low], "big")
        watch.vip = int.from_bytes(frame[template.vip_at :][:low], "big")
        watch.vips = template.vips
        watch.flow_mask = flows if flows == EVERY_PACKET_NEW else flows - 1
        watch.first, watch.packets, watch.chunk_shift = self._flow, 0, 63

    def _choose(self, program_fd: int) -> None:
        """Take the driver that can jump to a program."""
        for driver in self._drivers:
            with suppress(HostError):
                driver.jump_to(program_fd)
                self._in_use = driver
                return
        if len(self._drivers) == 1:
            self._drivers.append(_Driver(buffers=False))
        try:
            self._drivers[1].jump_to(program_fd)
        except HostError as error:
            raise HostError(
                f"{error}: this program cannot be benchmarked, since only an XDP program that is "
                f"not bound to a device can be tail-called"
            ) from None
        self._in_use = self._drivers[1]

    def close(self) -> None:
        """Unload."""
        for driver in self._drivers:
            driver.close()


def _verdict(number: int) -> str:
    return VERDICTS[number] if number < len(VERDICTS) else str(number)


@contextmanager
def stopwatch() -> Iterator[Stopwatch]:
    """A Stopwatch, on one CPU for as long as the block runs."""
    watch = Stopwatch()
    try:
        with on_one_cpu():
            yield watch
    finally:
        watch.close()


@contextmanager
def on_one_cpu() -> Iterator[None]:
    """Keep this thread, and the processes that it starts, on one CPU while the block runs."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})  # the last: interrupts like the first
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


@dataclass(frozen=True)
class Peers:
    """The loaded reference programs."""

    only_return: int
    parse_only: int
    remember: int
    sessions: Map

    def close(self) -> None:
        """Unload."""
        for descriptor in (self.only_return, self.parse_only, self.remember):
            os.close(descriptor)
        self.sessions.close()


def load_peers(*, sessions: int) -> Peers:
    """The reference programs, with room for so many sessions."""
    with libbpf.opened(PEERS) as opened:
        opened.resize("sessions", sessions)
        for name in ("only_return", "parse_only", "remember"):
            opened.take_buffers(name)  # by the same driver as ours
        opened.load("remember")
        return Peers(
            only_return=opened.program_fd("only_return"),
            parse_only=opened.program_fd("parse_only"),
            remember=opened.program_fd("remember"),
            sessions=opened.map("sessions"),
        )


@dataclass(frozen=True)
class Ends:
    """The programs at the two ends of a wire."""

    send: int
    sink: int
    arrived: Map

    def packets(self) -> int:
        """How many packets the sink has had."""
        cpus = libbpf.possible_cpus()
        return sum(struct.unpack(f"={cpus}Q", self.arrived.lookup(0, 8 * cpus)))

    def close(self) -> None:
        """Unload; where the sink is attached it stays."""
        os.close(self.send)
        os.close(self.sink)
        self.arrived.close()


def load_ends() -> Ends:
    """The sender's end and the sink."""
    with libbpf.opened(ENDS) as opened:
        opened.load("sink")
        return Ends(
            send=opened.program_fd("send"),
            sink=opened.program_fd("sink"),
            arrived=opened.map("arrived"),
        )
