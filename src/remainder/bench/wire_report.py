"""What went through the wire, as numbers and as text.  Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from remainder.bench.machine import Machine
from remainder.bench.report import facts_text, machine_facts


@dataclass(frozen=True, slots=True)
class Speed:
    """What one data plane did, round by round."""

    name: str
    ns: tuple[float, ...]
    """from one packet to the next: sender, balancer and sink together"""
    lost: int
    """packets that were sent and did not arrive; with any, the number means nothing"""

    @property
    def mpps(self) -> float:
        """Million packets per second, the median."""
        return 1000 / statistics.median(self.ns)

    @property
    def spread(self) -> tuple[float, float]:
        """The slowest and the fastest round, million packets per second."""
        return 1000 / max(self.ns), 1000 / min(self.ns)


@dataclass(frozen=True, slots=True)
class WireReport:
    """All of one run; the first speed is what the others are compared with."""

    machine: Machine
    speeds: tuple[Speed, ...]

    @property
    def faults(self) -> list[str]:
        """What is not as it should be, one sentence each."""
        return [
            f"{item.name}: {item.lost:,} packets were lost" for item in self.speeds if item.lost
        ]


def share(speed: Speed, first: Speed) -> float:
    """How fast one is beside another, in the same rounds; the median of the rounds."""
    return statistics.median(other / own for own, other in zip(speed.ns, first.ns, strict=True))


def as_plain(report: WireReport) -> dict[str, Any]:
    """For programs."""
    return {
        "machine": asdict(report.machine),
        "speeds": [
            {
                "name": item.name,
                "mpps": item.mpps,
                "spread_mpps": item.spread,
                "of_first": share(item, report.speeds[0]),
                "rounds_ns": item.ns,
                "lost": item.lost,
            }
            for item in report.speeds
        ],
    }


def as_text(report: WireReport) -> str:
    """For people."""
    wide = max(len(item.name) for item in report.speeds)
    return "\n".join(
        [
            *facts_text(machine_facts(report.machine)),
            (
                f"million packets per second on one CPU, which also sends and counts them; "
                f"median, slowest and fastest of {len(report.speeds[0].ns)} rounds"
            ),
            "",
            f"{'data plane':<{wide}}  {'Mpps':>6}  {'spread':>12}  {'of first':>8}  lost",
            *(_line(item, report.speeds, wide) for item in report.speeds),
        ]
    )


def _line(item: Speed, speeds: Sequence[Speed], wide: int) -> str:
    slowest, fastest = item.spread
    return (
        f"{item.name:<{wide}}  {item.mpps:>6.3f}  {slowest:>5.2f} {fastest:>5.2f}  "
        f"{share(item, speeds[0]):>8.2f}  {item.lost:,}"
    )
