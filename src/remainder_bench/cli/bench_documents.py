"""What ``remainder bench`` prints with ``--json``; see remainder.cli.documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from remainder.cli.documents import Version
from remainder_bench.control import Figure
from remainder_bench.flood_report import Memory
from remainder_bench.machine import Machine


class Quartiles(Struct, kw_only=True):
    """Over the rounds."""

    q1: float
    median: float
    q3: float


class PacketsRow(Struct, kw_only=True):
    """One program with one kind of packet; times in nanoseconds per packet."""

    name: str
    net_ns: Quartiles
    """net of a program that only returns"""
    only_return_ns: float
    rounds_ns: list[float]
    outcome: str
    packets: int
    instructions: int
    valid: bool
    fault: str | None


class PacketsDocument(Struct, kw_only=True):
    """``remainder bench [FILE] --json``."""

    version: Version = 1
    machine: Machine
    rounds: int
    rows: list[PacketsRow]


class ControlDocument(Struct, kw_only=True):
    """``remainder bench --control --json``."""

    version: Version = 1
    machine: Machine
    figures: list[Figure]


class SpeedRow(Struct, kw_only=True):
    """Packets per second through one data plane."""

    name: str
    mpps: float
    spread_mpps: tuple[float, float]
    of_first: float
    """relative to the first row"""
    rounds_ns: list[float]
    lost: int


class ConnectionsRow(Struct, kw_only=True):
    """Connections per second through one data plane."""

    name: str
    per_second: float
    spread_per_second: tuple[float, float]
    of_first: float
    """relative to the first row"""
    extra_us: float
    """CPU time beyond that of the first row"""
    packets: float
    """received by the balancer for each connection"""
    rounds_us: list[float]
    idle: float
    failed: int


class WireDocument(Struct, kw_only=True):
    """``remainder bench --wire --json``."""

    version: Version = 1
    machine: Machine
    speeds: list[SpeedRow]
    connections: list[ConnectionsRow]
    notes: list[str]


class OpenSessions(Struct, kw_only=True):
    """Sessions opened before the flood."""

    sessions: int
    lost: int
    answers: int
    p50_ms: float | None
    p99_ms: float | None
    max_ms: float | None


class NewConnections(Struct, kw_only=True):
    """Connections attempted during the flood."""

    attempted: int
    served: int
    p50_ms: float | None
    p99_ms: float | None
    max_ms: float | None


class FloodLevel(Struct, kw_only=True):
    """One data plane at one rate of the flood."""

    plane: str
    syn_per_s: int
    sent: int
    sent_per_s: float
    forwarded: int
    open_sessions: OpenSessions
    new_connections: NewConnections
    busy: float
    waited: float
    before: Memory
    after: Memory
    faults: list[str]


class FloodDocument(Struct, kw_only=True):
    """``remainder bench --flood --json``."""

    version: Version = 1
    machine: Machine
    seconds: float
    levels: list[FloodLevel]


DOCUMENTS: Final[Mapping[str, Any]] = {
    "bench": PacketsDocument,
    "bench-control": ControlDocument,
    "bench-wire": WireDocument,
    "bench-flood": FloodDocument,
}
"""Name of the schema → the document."""
