"""The page that ``demo`` writes: topology and distribution as charts, in one file.

No scripts and no external resources, so it can be mailed or archived with a report.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Final

from remainder.cli.counting import counted
from remainder_lab.acts import CLAIMS, Killed, Shown
from remainder_lab.cli.demo_shows import Programme

_STYLE: Final = """
:root { --ground: #fbfaf7; --ink: #23262b; --soft: #6d7178; --line: #cfcdc6; --box: #ffffff;
  --c0: #1f7a8c; --c1: #b5539c; --c2: #c98a1b; --c3: #4b8f4b; --good: #2e7d4f; --bad: #b3261e; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #17191c; --ink: #e6e4df; --soft: #9a9ea6; --line: #3b3f45; --box: #202328;
    --c0: #4fb3c6; --c1: #d98ac4; --c2: #e0b04f; --c3: #82c182; --good: #6fc796; --bad: #f2867e; } }
body { background: var(--ground); color: var(--ink); margin: 2.5rem auto; max-width: 62rem;
  padding: 0 1.25rem; font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin: 0; } h2 { font-size: 1.15rem; margin: 2.4rem 0 .2rem; }
p { margin: .3rem 0; } .soft { color: var(--soft); }
code, text { font-family: ui-monospace, "DejaVu Sans Mono", monospace; }
code { font-size: .9em; } svg { width: 100%; height: auto; display: block; margin: .6rem 0; }
text { fill: var(--ink); font-size: 13px; } text.soft { fill: var(--soft); }
.box { fill: var(--box); stroke: var(--line); stroke-width: 1.5; }
.wire { stroke: var(--line); stroke-width: 2; fill: none; }
.way { stroke: var(--c0); stroke-width: 2; fill: none; stroke-dasharray: 6 4; }
.back { stroke: var(--c2); stroke-width: 2; fill: none; stroke-dasharray: 2 4; }
.track { fill: var(--line); opacity: .35; }
ul { list-style: none; padding: 0; margin: .5rem 0; }
li::before { content: "✓ "; color: var(--good); }
li.bad::before { content: "✗ "; color: var(--bad); }
footer { margin-top: 3rem; border-top: 1px solid var(--line); padding-top: .8rem; }
"""


def page(programme: Programme) -> str:
    """The whole page as HTML."""
    parts = [
        "<h1>The server is the remainder</h1>",
        '<p class="soft">What <code>remainder demo</code> did on this machine: real TCP and UDP '
        "sessions through network namespaces, counted at the servers.</p>",
    ]
    if programme.formulas:
        parts += _network(sorted(programme.formulas[0].packets))
        parts.append(f'<p class="soft">{escape(CLAIMS)}</p>')
    for result in programme.formulas:
        parts += _act(result)
    if programme.killed is not None:
        parts += _killed(programme.killed)
    for name, findings in programme.findings.items():
        parts += [f"<h2>{escape(name)}</h2>", _findings(findings)]
    parts.append(
        '<footer class="soft">Packets are counted by packet sockets on the servers, not by the '
        "balancer.  The servers and the arithmetic are compared session by session.</footer>"
    )
    return (
        '<!doctype html>\n<html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>Remainder demo</title><style>{_STYLE}</style>\n<body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def _network(servers: Sequence[str]) -> list[str]:
    return [
        "<h2>The network</h2>",
        _topology(servers),
        '<p class="soft">Dashed: requests, clients → router → balancer → server.  Dotted: answers, '
        "server → router → clients, past the balancer (direct server return).</p>",
    ]


def _act(shown: Shown) -> list[str]:
    formula, example = shown.formula, shown.example
    return [
        f"<h2>{escape(formula.title)}</h2>",
        f"<p><code>({escape(formula.key)}) % {shown.slots:,}</code>, table "
        f"<code>{escape(formula.table)}</code>: {escape(formula.remark)}.</p>",
        _bars(shown.packets, shown.sessions_of),
        _findings(
            [
                (
                    not shown.failed,
                    f"{shown.sessions} TCP and UDP sessions of {shown.clients} clients over IPv4 "
                    f"and IPv6, {shown.failed} failed",
                ),
                (
                    not shown.torn,
                    f"{counted(shown.torn, 'session')} had packets at more than one server",
                ),
                (
                    not shown.misdirected,
                    f"{shown.misdirected} reached another server than the calculation names",
                ),
            ]
        ),
        f'<p class="soft">Example: <code>{escape(str(example.flow))}</code>: '
        f"<code>{example.key} % {example.slots} = {example.slot}</code>, which "
        f"<code>{escape(example.owner or '')}</code> owns.</p>",
    ]


def _killed(killed: Killed) -> list[str]:
    return [
        "<h2>kill -9</h2>",
        "<p>The control process was killed under traffic; the data plane kept forwarding, and the "
        "next process took it over.</p>",
        _findings(
            [
                (
                    killed.forwarded_alone,
                    f"{killed.forwarded_alone:,} packets were forwarded in {killed.alone_s:.1f} s "
                    f"without a control process",
                ),
                (
                    not killed.failed,
                    f"{killed.held} open sessions with {killed.requests:,} requests and "
                    f"{killed.short} new sessions: {killed.failed} failed, the longest wait was "
                    f"{killed.longest_wait_s * 1000:.0f} ms",
                ),
            ]
        ),
    ]


def _findings(findings: Iterable[tuple[object, str]]) -> str:
    items = (
        f"<li>{escape(text)}</li>" if good else f'<li class="bad">{escape(text)}</li>'
        for good, text in findings
    )
    return f"<ul>{''.join(items)}</ul>"


def _topology(servers: Sequence[str]) -> str:
    height = 70 + 58 * len(servers)
    middle = height // 2
    drawing = [
        _wire(130, middle, 210, middle),
        _wire(310, middle, 430, middle),
        _wire(430, 40, 430, height - 30),
        _wire(430, 40, 500, 40),
        _box(20, middle, "clients"),
        _box(200, middle, "router"),
        _box(490, 40, "balancer"),
        f'<path class="way" d="M130 {middle - 10} H200 M310 {middle - 10} H420 V32 H490"/>',
    ]
    for number, server in enumerate(servers):
        y = 98 + 58 * number
        drawing.append(_wire(430, y, 740, y))
        drawing.append(_box(730, y, server, colour=number))
        drawing.append(f'<path class="way" d="M600 40 H690 V{y - 8} H730"/>')
        drawing.append(f'<path class="back" d="M730 {y + 9} H442 V{middle + 10} H310"/>')
    return (
        f'<svg viewBox="0 0 880 {height}" role="img" aria-label="topology">{"".join(drawing)}</svg>'
    )


def _wire(x1: int, y1: int, x2: int, y2: int) -> str:
    return f'<path class="wire" d="M{x1} {y1} L{x2} {y2}"/>'


def _box(x: int, y: int, name: str, *, colour: int | None = None) -> str:
    edge = "" if colour is None else f' style="stroke: var(--c{colour % 4})"'
    return (
        f'<rect class="box" x="{x}" y="{y - 19}" width="110" height="38" rx="6"{edge}/>'
        f'<text x="{x + 55}" y="{y + 5}" text-anchor="middle">{escape(name)}</text>'
    )


def _bars(packets: Mapping[str, int], sessions: Mapping[str, int]) -> str:
    total = sum(packets.values()) or 1
    rows = []
    for number, (server, count) in enumerate(sorted(packets.items())):
        y, width = 8 + 30 * number, 480 * count / total
        rows.append(
            f'<text x="0" y="{y + 15}">{escape(server)}</text>'
            f'<rect class="track" x="70" y="{y}" width="480" height="20" rx="3"/>'
            f'<rect x="70" y="{y}" width="{width:.1f}" height="20" rx="3" '
            f'style="fill: var(--c{number % 4})"/>'
            f'<text x="565" y="{y + 15}">{count / total:.0%}</text>'
            f'<text class="soft" x="625" y="{y + 15}">{counted(count, "packet")}, '
            f"{counted(sessions[server], 'session')}</text>"
        )
    return (
        f'<svg viewBox="0 0 880 {16 + 30 * len(rows)}" role="img" aria-label="distribution">'
        f"{''.join(rows)}</svg>"
    )
