"""How clients fared under a flood, as numbers and as text.  Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from remainder_bench.machine import Machine
from remainder_bench.report import facts_text, machine_facts

ENOUGH_SENT: Final = 0.95
ENOUGH_ATTEMPTED: Final = 0.97
ENOUGH_SERVED: Final = 0.97
"""Without a flood."""

MOST_WAITED: Final = 0.02
"""A queue of 256 frames is full after 0.6 ms of a flood of 400,000 per second."""

FULL: Final = 0.9
"""Linux keeps a twentieth of a CPU from real-time work; that is waited for too."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What a data plane holds at a time."""

    process_kib: int
    """resident"""
    maps_bytes: int
    sessions: int
    """that the kernel's connection tracking remembers"""
    most_sessions: int
    session_bytes: int

    @property
    def bytes(self) -> int:
        """Of all of it."""
        return self.process_kib * 1024 + self.maps_bytes + self.sessions * self.session_bytes


@dataclass(frozen=True, slots=True)
class Level:
    """One data plane at one rate of the flood."""

    plane: str
    per_s: int
    """intended SYNs"""
    sent: int
    sent_per_s: float
    forwarded: int
    """SYNs that reached the servers"""
    sessions: int
    """open from before the flood"""
    lost: int
    """of these, broken by its end"""
    requests_us: Sequence[int]
    """how long each answer in them took"""
    attempted: int
    """new connections"""
    wanted: int
    """new connections that should have been attempted"""
    served_us: Sequence[int]
    """how long each of those took that was served"""
    busy: float
    """share of its CPU that the balancer was at work, with all that stands behind it"""
    waited: float
    """share of the time that it waited for its CPU, where something else was at work"""
    before: Memory
    after: Memory

    @property
    def served(self) -> float:
        """Share of the new connections."""
        return len(self.served_us) / self.attempted if self.attempted else 0.0

    @property
    def passed(self) -> float:
        """Share of the flood that was forwarded."""
        return self.forwarded / self.sent if self.sent else 1.0

    @property
    def disturbed(self) -> bool:
        """Whether other work of the machine is in the numbers."""
        return self.waited > MOST_WAITED and self.busy < FULL

    @property
    def faults(self) -> list[str]:
        """Why the level is invalid, one sentence each."""
        where = f"{self.plane} at {self.per_s:,} per second"
        found = []
        if self.sent_per_s < ENOUGH_SENT * self.per_s:
            found.append(f"{where}: only {self.sent_per_s:,.0f} SYNs per second were sent")
        if self.disturbed:
            found.append(
                f"{where}: other work took the balancer's CPU for {self.waited:.1%} of the time; "
                f"repeat on a quiet machine"
            )
        if self.attempted < ENOUGH_ATTEMPTED * self.wanted:
            found.append(
                f"{where}: the clients attempted only {self.attempted} of {self.wanted} connections"
            )
        if self.per_s == 0 and (self.lost or self.served < ENOUGH_SERVED):
            found.append(
                f"{self.plane} without a flood: {self.lost} sessions lost, "
                f"{self.served:.0%} of new connections served"
            )
        return found


@dataclass(frozen=True, slots=True)
class FloodReport:
    """All of one run."""

    machine: Machine
    seconds: float
    levels: tuple[Level, ...]

    @property
    def faults(self) -> list[str]:
        """Why results are invalid, one sentence each."""
        return [fault for level in self.levels for fault in level.faults]

    @property
    def planes(self) -> list[str]:
        """The data planes, in the order they came."""
        return list(dict.fromkeys(level.plane for level in self.levels))


def quantile_ms(took_us: Sequence[int], share: float) -> float | None:
    """What so large a share of the answers took at most; None if there are none."""
    if not took_us:
        return None
    return sorted(took_us)[max(0, math.ceil(share * len(took_us)) - 1)] / 1000


def as_plain(report: FloodReport) -> dict[str, Any]:
    """For programs."""
    return {
        "machine": asdict(report.machine),
        "seconds": report.seconds,
        "levels": [
            {
                "plane": item.plane,
                "syn_per_s": item.per_s,
                "sent": item.sent,
                "sent_per_s": item.sent_per_s,
                "forwarded": item.forwarded,
                "open_sessions": {
                    "sessions": item.sessions,
                    "lost": item.lost,
                    "answers": len(item.requests_us),
                    **_times(item.requests_us),
                },
                "new_connections": {
                    "attempted": item.attempted,
                    "served": len(item.served_us),
                    **_times(item.served_us),
                },
                "busy": item.busy,
                "waited": item.waited,
                "before": asdict(item.before),
                "after": asdict(item.after),
                "faults": item.faults,
            }
            for item in report.levels
        ],
    }


def _times(took_us: Sequence[int]) -> dict[str, float | None]:
    return {
        "p50_ms": quantile_ms(took_us, 0.5),
        "p99_ms": quantile_ms(took_us, 0.99),
        "max_ms": quantile_ms(took_us, 1),
    }


def as_text(report: FloodReport) -> str:
    """For people."""
    wide = max(len(item.plane) for item in report.levels)
    first = report.levels[0]
    over = (
        f"{'':<{wide}}  {'SYNs per s':>10}  {'':>8}  {'--- open sessions ---':>21}  "
        f"{'- new connections -':>19}  {'':>4}  {'sessions':>10}"
    )
    head = (
        f"{'data plane':<{wide}}  {'sent':>10}  {'arrived':>8}  {'lost':>4} {'p99 ms':>7} "
        f"{'max ms':>8}  {'served':>10} {'p99 ms':>8}  {'busy':>4}  {'remembered':>10}  memory, MiB"
    )
    return "\n".join(
        [
            *facts_text(machine_facts(report.machine)),
            (
                f"SYNs from ever new sources for {report.seconds:g} s, beside {first.sessions} "
                f"open sessions and {first.wanted} new connections; one CPU balances"
            ),
            "",
            over,
            head,
            *(_line(item, wide) for item in report.levels),
        ]
    )


def _line(item: Level, wide: int) -> str:
    return (
        f"{item.plane:<{wide}}  {item.sent_per_s:>10,.0f}  {item.passed:>8.1%}  "
        f"{item.lost:>4} {_ms(item.requests_us, 0.99):>7} {_ms(item.requests_us, 1):>8}  "
        f"{item.served:>10.1%} {_ms(item.served_us, 0.99):>8}  {item.busy:>4.0%}  "
        f"{item.after.sessions:>10,}  {_mib(item.before)} → {_mib(item.after)}"
    )


def _ms(took_us: Sequence[int], share: float) -> str:
    value = quantile_ms(took_us, share)
    return "–" if value is None else f"{value:.2f}"


def _mib(memory: Memory) -> str:
    return f"{memory.bytes / (1 << 20):.1f}"
