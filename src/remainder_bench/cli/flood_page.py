"""The page that ``bench --flood --html`` writes: connections served at each rate, in one file."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from remainder_bench.cli.bench_page import whole
from remainder_bench.flood_report import FloodReport, Level, quantile_ms

_LEFT: Final = 250
_WIDE: Final = 170
_ROW: Final = 26


def page(report: FloodReport) -> str:
    """The whole page as HTML."""
    first = report.levels[0]
    groups = [
        part
        for per_s in dict.fromkeys(level.per_s for level in report.levels)
        for part in (
            f"<h2>{f'{per_s:,} SYNs per second' if per_s else 'No flood'}</h2>",
            _bars([level for level in report.levels if level.per_s == per_s]),
        )
    ]
    return whole(
        report.machine,
        "<h1>Under a flood</h1>",
        '<p class="soft">New connections served within a second, beside SYNs that each come from '
        f"another source, for {report.seconds:g} s; {first.sessions} sessions were open before. "
        "Flood and clients share one queue into the balancer, which has one CPU.</p>",
        *groups,
    )


def _bars(levels: Sequence[Level]) -> str:
    rows = []
    for number, level in enumerate(levels):
        y, width = 4 + _ROW * number, _WIDE * level.served
        kind = "bad" if level.faults else "ours" if level.plane.startswith("remainder") else "peer"
        rows.append(
            f'<text x="0" y="{y + 13}">{escape(level.plane)}</text>'
            f'<rect class="{kind}" x="{_LEFT}" y="{y}" width="{width:.1f}" height="18" rx="3"/>'
            f'<text class="soft" x="{_LEFT + 8 + width:.1f}" y="{y + 13}">{_told(level)}</text>'
        )
    return (
        f'<svg viewBox="0 0 980 {8 + _ROW * len(rows)}" role="img" '
        f'aria-label="new connections served">{"".join(rows)}</svg>'
    )


def _told(level: Level) -> str:
    p99_ms = quantile_ms(level.requests_us, 0.99)
    answers = "no answers" if p99_ms is None else f"answers p99 {p99_ms:.2f} ms"
    return (
        f"{level.served:.1%} · {answers} · {level.lost} sessions lost · "
        f"{level.after.sessions:,} remembered"
    )
