"""The results, as numbers and as text.  Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from remainder_bench.machine import Machine

NAMES: Final = (
    "Read a name as kind of packet / flows / method / key / services × servers, "
    "or for a file as kind of packet / flows / service.\n"
    "`parse-only` reads the headers and decides nothing; "
    "`remember` keeps a session table, as is common.\n"
    "A row is valid only if every packet had the outcome predicted by the reference model."
)
"""The footnote of the table."""


@dataclass(frozen=True, slots=True)
class Row:
    """One program with one kind of packet, over all rounds."""

    name: str
    net_ns: tuple[float, ...]
    """a packet, less the program that only returns, round by round"""
    floor_ns: tuple[float, ...]
    """a packet with the program that only returns, the driver's part included"""
    outcome: str
    """of the packets; for a program that is not ours, the verdict"""
    packets: int
    instructions: int
    fault: str | None = None
    """why the row is invalid"""

    @property
    def quartiles(self) -> tuple[float, float, float]:
        """Of the net time: lower quartile, median, upper quartile."""
        if len(self.net_ns) < 2:
            return (self.net_ns[0],) * 3
        lower, median, upper = statistics.quantiles(self.net_ns, n=4, method="inclusive")
        return lower, median, upper

    @property
    def median(self) -> float:
        """The net time, ns."""
        return self.quartiles[1]


@dataclass(frozen=True, slots=True)
class Report:
    """All of one run."""

    machine: Machine
    rounds: int
    rows: tuple[Row, ...]

    @property
    def faults(self) -> list[str]:
        """Why rows are invalid, one sentence each."""
        return [f"{row.name}: {row.fault}" for row in self.rows if row.fault]


def as_plain(report: Report) -> dict[str, Any]:
    """For programs."""
    return {
        "machine": asdict(report.machine),
        "rounds": report.rounds,
        "rows": [
            {
                "name": row.name,
                "net_ns": dict(zip(("q1", "median", "q3"), row.quartiles, strict=True)),
                "only_return_ns": statistics.median(row.floor_ns),
                "rounds_ns": list(row.net_ns),
                "outcome": row.outcome,
                "packets": row.packets,
                "instructions": row.instructions,
                "valid": row.fault is None,
                "fault": row.fault,
            }
            for row in report.rows
        ],
    }


def as_text(report: Report) -> str:
    """For people."""
    floor = statistics.median(ns for row in report.rows for ns in row.floor_ns)
    wide = max(len(row.name) for row in report.rows)
    lines = [
        *facts_text(machine_facts(report.machine)),
        (
            f"ns per packet, net of a program that only returns ({floor:.1f} with the driver's "
            f"part); median and quartiles of {rounds_text(report.rounds)}"
        ),
        "",
        f"{'case':<{wide}}  {'median':>7}  {'quartiles':>15}  {'instructions':>12}  outcome",
    ]
    for row in report.rows:
        lower, median, upper = row.quartiles
        lines.append(
            f"{row.name:<{wide}}  {median:>7.1f}  {lower:>7.1f} {upper:>7.1f}  "
            f"{row.instructions:>12,}  {row.fault or row.outcome}"
        )
    return "\n".join([*lines, "", NAMES])


def rounds_text(rounds: int) -> str:
    """``1 round``, ``9 rounds``."""
    return f"{rounds} round{'' if rounds == 1 else 's'}"


def machine_facts(machine: Machine) -> dict[str, str]:
    """The machine as names and sentences."""
    return {
        "date": machine.date,
        "cpu": f"{machine.cpus} × {machine.cpu}, load {machine.load:.1f}",
        "kernel": f"{machine.kernel}, BPF JIT {machine.jit}",
        "mitigations": "; ".join(machine.mitigations) or "none",
        "mode": machine.mode,
        "program": machine.program,
    }


def facts_text(facts: Mapping[str, str]) -> list[str]:
    """Names and values, in two columns."""
    wide = max(map(len, facts))
    return [f"{name:<{wide}}  {value}" for name, value in facts.items()]
