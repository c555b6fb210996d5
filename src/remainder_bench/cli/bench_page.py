"""The page that ``bench --html`` writes: every case as a dot on one scale, in one file.

No scripts and no external resources, so it can be mailed or archived with a report.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from html import escape
from typing import Final

from remainder_bench.machine import Machine
from remainder_bench.report import NAMES, Report, Row, machine_facts, rounds_text
from remainder_bench.wire_report import EXTRA, WireReport, extra

_STYLE: Final = """
:root { --ground: #fbfaf7; --ink: #23262b; --soft: #6d7178; --line: #cfcdc6;
  --ours: #1f7a8c; --peer: #c98a1b; --bad: #b3261e; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #17191c; --ink: #e6e4df; --soft: #9a9ea6; --line: #3b3f45;
    --ours: #4fb3c6; --peer: #e0b04f; --bad: #f2867e; } }
body { background: var(--ground); color: var(--ink); margin: 2.5rem auto; max-width: 62rem;
  padding: 0 1.25rem; font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin: 0; } h2 { font-size: 1.15rem; margin: 2.4rem 0 .2rem; }
p { margin: .3rem 0; } .soft { color: var(--soft); }
code, text, td { font-family: ui-monospace, "DejaVu Sans Mono", monospace; }
svg { width: 100%; height: auto; display: block; margin: .6rem 0; }
text { fill: var(--ink); font-size: 12px; } text.soft { fill: var(--soft); }
.grid { stroke: var(--line); stroke-width: 1; opacity: .6; }
.ours { fill: var(--ours); stroke: var(--ours); } .peer { fill: var(--peer); stroke: var(--peer); }
.bad { fill: var(--bad); stroke: var(--bad); } .spread { stroke-width: 3; opacity: .45; }
table { border-collapse: collapse; font-size: .85rem; margin-top: .6rem; }
td { padding: .1rem 1rem .1rem 0; vertical-align: top; }
"""

_LEFT, _RIGHT, _ROW = 250, 800, 22
_PACKETS_AT, _CONNECTIONS_AT, _PANEL = 280, 560, 200
_TICKS: Final = (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)


def page(report: Report) -> str:
    """The whole page as HTML."""
    return whole(
        report.machine,
        "<h1>What a packet costs</h1>",
        '<p class="soft">Nanoseconds per packet, net of a program that only returns, in the same '
        f"round: median (dot) and quartiles (bar) of {rounds_text(report.rounds)}.</p>",
        _picture(report.rows),
        f'<p class="soft">{_with_code(NAMES)}</p>',
    )


def wire_page(report: WireReport) -> str:
    """The whole page of ``--wire`` as HTML."""
    said = (*((EXTRA,) if report.connections else ()), *report.notes)
    return whole(
        report.machine,
        "<h1>Packets and connections per second</h1>",
        '<p class="soft">Through veths, on one CPU that also sends and counts the packets, and is '
        "client and server of the connections.</p>",
        _panels(report),
        *(f'<p class="soft">{escape(line)}.</p>' for line in said),
    )


def whole(machine: Machine, *parts: str) -> str:
    """The frame of a page: its style, its parts, and the machine."""
    facts = "".join(
        f'<tr><td class="soft">{escape(name)}</td><td>{escape(value)}</td></tr>'
        for name, value in machine_facts(machine).items()
    )
    return (
        '<!doctype html>\n<html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>Remainder bench</title><style>{_STYLE}</style>\n<body>\n"
        + "\n".join(parts)
        + f"<h2>The machine</h2><table>{facts}</table>\n</body></html>\n"
    )


def _with_code(text: str) -> str:
    return re.sub(r"`(.*?)`", r"<code>\1</code>", escape(text))


def _panels(report: WireReport) -> str:
    """A row for each data plane; packets to the left, connections to the right."""
    most_mpps = max(item.mpps for item in report.speeds)
    most_connections = max((item.per_second for item in report.connections), default=1.0)
    drawing = [
        f'<text class="soft" x="{_PACKETS_AT}" y="14">million packets per second</text>',
        f'<text class="soft" x="{_CONNECTIONS_AT}" y="14">connections per second, extra us</text>',
    ]
    for number, (name, (speed, connections)) in enumerate(report.rows.items()):
        y = 26 + 28 * number
        kind = "ours" if name.startswith("remainder") else "peer"
        drawing.append(f'<text x="0" y="{y + 14}">{escape(name)}</text>')
        if speed is not None:
            drawing.append(
                _bar(
                    _PACKETS_AT,
                    y,
                    speed.mpps / most_mpps,
                    "bad" if speed.lost else kind,
                    f"{speed.mpps:.2f}",
                )
            )
        if connections is not None:
            first = report.connections[0]
            beyond = extra(connections.us, first.us)
            words = f"{connections.per_second:,.0f}"
            drawing.append(
                _bar(
                    _CONNECTIONS_AT,
                    y,
                    connections.per_second / most_connections,
                    "bad" if connections.failed else kind,
                    words if connections is first else f"{words}  {beyond:+.1f} us",
                )
            )
    return (
        f'<svg viewBox="0 0 880 {34 + 28 * len(report.rows)}" role="img" '
        f'aria-label="packets and connections per second">{"".join(drawing)}</svg>'
    )


def _bar(x: int, y: int, share: float, kind: str, said: str) -> str:
    width = _PANEL * share
    return (
        f'<rect class="{kind}" x="{x}" y="{y}" width="{width:.1f}" height="18" rx="3"/>'
        f'<text class="soft" x="{x + 8 + width:.1f}" y="{y + 14}">{said}</text>'
    )


def _picture(rows: Sequence[Row]) -> str:
    most = max(row.quartiles[2] for row in rows)
    ticks = [tick for tick in _TICKS if tick <= most * 2] or [1.0]
    scale = _Scale(ticks[0], ticks[-1])
    height = 34 + _ROW * len(rows)
    drawing = []
    for tick in ticks:
        x = scale.at(tick)
        drawing.append(f'<path class="grid" d="M{x:.1f} 22 V{height - 8}"/>')
        drawing.append(
            f'<text class="soft" x="{x:.1f}" y="14" text-anchor="middle">{tick:g}</text>'
        )
    for number, row in enumerate(rows):
        drawing += _dot(row, 34 + _ROW * number, scale)
    return (
        f'<svg viewBox="0 0 880 {height}" role="img" aria-label="cost per packet">'
        f"{''.join(drawing)}</svg>"
    )


class _Scale:
    """Logarithmic: a step to the right is a factor."""

    def __init__(self, least: float, most: float) -> None:
        self._least = math.log(least)
        self._wide = math.log(most) - self._least or 1.0

    def at(self, value: float) -> float:
        """Where a value stands; what is below the scale stands at its beginning."""
        if value <= 0:
            return _LEFT
        share = (math.log(value) - self._least) / self._wide
        return _LEFT + (_RIGHT - _LEFT) * min(max(share, 0.0), 1.0)


def _dot(row: Row, y: int, scale: _Scale) -> list[str]:
    lower, median, upper = row.quartiles
    kind = (
        "bad" if row.fault else "peer" if row.name.startswith(("parse-", "remember/")) else "ours"
    )
    return [
        f'<text x="0" y="{y + 4}">{escape(row.name)}</text>',
        f'<path class="{kind} spread" d="M{scale.at(lower):.1f} {y} H{scale.at(upper):.1f}"/>',
        f'<circle class="{kind}" cx="{scale.at(median):.1f}" cy="{y}" r="4"/>',
        f'<text class="soft" x="815" y="{y + 4}">{median:.1f}</text>',
    ]
