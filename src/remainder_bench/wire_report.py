"""The results of ``--wire``, as numbers and as text.  Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from remainder_bench.machine import Machine
from remainder_bench.report import facts_text, machine_facts, rounds_text

MOST_IDLE: Final = 0.1
"""Beyond this share the time of a connection is more than its CPU time."""

_FEWEST_PACKETS: Final = 3
"""Of a connection, from the client alone: SYN, request, end."""


@dataclass(frozen=True, slots=True)
class Speed:
    """What one data plane did, round by round."""

    name: str
    ns: tuple[float, ...]
    """from one packet to the next: sender, balancer and sink together"""
    lost: int
    """packets that were sent but did not arrive; with any, the result is invalid"""

    @property
    def mpps(self) -> float:
        """Million packets per second, the median."""
        return 1000 / statistics.median(self.ns)

    @property
    def spread(self) -> tuple[float, float]:
        """The slowest and the fastest round, million packets per second."""
        return 1000 / max(self.ns), 1000 / min(self.ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Connections:
    """Short connections through one data plane, round by round."""

    name: str
    us: tuple[float, ...]
    """from one connection to the next: client, server and what is between them"""
    failed: int
    """connections without an answer; with any, the result is invalid"""
    packets: float
    """of a connection, those that the balancer received"""
    idle: float
    """share of the time in which the CPU had nothing to do"""

    @property
    def per_second(self) -> float:
        """Connections per second, the median."""
        return 1e6 / statistics.median(self.us)

    @property
    def spread(self) -> tuple[float, float]:
        """The slowest and the fastest round, connections per second."""
        return 1e6 / max(self.us), 1e6 / min(self.us)


@dataclass(frozen=True, slots=True)
class WireReport:
    """All of one run; what comes first is what the others are compared with."""

    machine: Machine
    speeds: tuple[Speed, ...]
    connections: tuple[Connections, ...] = ()
    notes: tuple[str, ...] = ()
    """what was left out, and why"""

    @property
    def faults(self) -> list[str]:
        """Why results are invalid, one sentence each."""
        lost = [
            f"{item.name}: {item.lost:,} packets were lost" for item in self.speeds if item.lost
        ]
        wrong = [
            f"{item.name}: {fault}"
            for item in self.connections
            if (fault := _fault(item, balanced=item is not self.connections[0]))
        ]
        return lost + wrong

    @property
    def rows(self) -> dict[str, tuple[Speed | None, Connections | None]]:
        """The results of each data plane, in the order measured."""
        speeds: Mapping[str, Speed] = {item.name: item for item in self.speeds}
        connections: Mapping[str, Connections] = {item.name: item for item in self.connections}
        names = dict.fromkeys([*list(connections)[:1], *speeds, *connections])
        return {name: (speeds.get(name), connections.get(name)) for name in names}


def _fault(item: Connections, *, balanced: bool) -> str | None:
    """Why a result is invalid; the first reason causes the others."""
    if item.failed:
        return f"{item.failed:,} connections got no answer"
    if balanced != (item.packets > _FEWEST_PACKETS):
        return f"the balancer received {item.packets:.1f} packets per connection"
    if item.idle > MOST_IDLE:
        return f"the CPU was idle {item.idle:.0%} of the time"
    return None


def share(own: Sequence[float], first: Sequence[float]) -> float:
    """How fast one is beside another, by the times of the same rounds; the median of the rounds."""
    return statistics.median(other / mine for mine, other in zip(own, first, strict=True))


def extra(own: Sequence[float], first: Sequence[float]) -> float:
    """What one takes beyond another in the same round; the median of the rounds."""
    return statistics.median(mine - other for mine, other in zip(own, first, strict=True))


def as_plain(report: WireReport) -> dict[str, Any]:
    """For programs."""
    return {
        "machine": asdict(report.machine),
        "speeds": [
            {
                "name": item.name,
                "mpps": item.mpps,
                "spread_mpps": item.spread,
                "of_first": share(item.ns, report.speeds[0].ns),
                "rounds_ns": item.ns,
                "lost": item.lost,
            }
            for item in report.speeds
        ],
        "connections": [
            {
                "name": item.name,
                "per_second": item.per_second,
                "spread_per_second": item.spread,
                "of_first": share(item.us, report.connections[0].us),
                "extra_us": extra(item.us, report.connections[0].us),
                "packets": item.packets,
                "rounds_us": item.us,
                "idle": item.idle,
                "failed": item.failed,
            }
            for item in report.connections
        ],
        "notes": list(report.notes),
    }


def as_text(report: WireReport) -> str:
    """For people."""
    wide = max(map(len, report.rows))
    return "\n".join(
        [
            *facts_text(machine_facts(report.machine)),
            *_what(report),
            "",
            _line(wide, "data plane", _PACKETS_HEAD, _CONNECTIONS_HEAD),
            *(
                _line(wide, name, _packets(report, speed), _connections(report, connections))
                for name, (speed, connections) in report.rows.items()
            ),
            "",
            *((EXTRA, _RECEIVED) if report.connections else ()),
            *report.notes,
        ]
    ).rstrip()


EXTRA: Final = (
    "extra us: what the CPU does for a connection beyond one without a balancer, whose packets "
    "cross the switch once less"
)
_RECEIVED: Final = (
    "packets: of a connection, what the balancer receives; with DNAT and HAProxy the answers come "
    "back through it, else straight from the server"
)
_PACKETS_HEAD: Final = ("Mpps", "spread", "of first")
_CONNECTIONS_HEAD: Final = ("conn/s", "spread", "of first", "extra us", "packets")
_WIDTHS: Final = (5, 9, 8, 6, 13, 8, 8, 7)


def _what(report: WireReport) -> list[str]:
    packets = "Mpps: million packets per second, on one CPU that also sends and counts them"
    connections = "conn/s: connections per second, on one CPU that is client and server too"
    lines = [f"{packets}; {_rounds(report.speeds[0].ns)}"]
    if report.connections:
        lines.append(f"{connections}; {_rounds(report.connections[0].us)}")
    return lines


def _rounds(times: Sequence[float]) -> str:
    return f"median, slowest and fastest of {rounds_text(len(times))}"


def _line(wide: int, name: str, *cells: Sequence[str]) -> str:
    flat = [cell for group in cells for cell in group]
    return f"{name:<{wide}}" + "".join(
        f"  {cell:>{width}}" for cell, width in zip(flat, _WIDTHS, strict=True)
    )


def _packets(report: WireReport, item: Speed | None) -> Sequence[str]:
    if item is None:
        return ["-"] * len(_PACKETS_HEAD)
    slowest, fastest = item.spread
    return (
        f"{item.mpps:.3f}",
        f"{slowest:.2f}-{fastest:.2f}",
        f"{share(item.ns, report.speeds[0].ns):.2f}",
    )


def _connections(report: WireReport, item: Connections | None) -> Sequence[str]:
    if item is None:
        return ["-"] * len(_CONNECTIONS_HEAD)
    first = report.connections[0]
    slowest, fastest = item.spread
    return (
        f"{item.per_second:,.0f}",
        f"{slowest:,.0f}-{fastest:,.0f}",
        f"{share(item.us, first.us):.2f}",
        "-" if item is first else f"{extra(item.us, first.us):.1f}",
        f"{item.packets:.1f}",
    )
