"""The page that ``plan --html`` writes: both tables, and what flows from one to the other.

No scripts and no external resources, so it can be mailed or kept with a change request.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from html import escape
from typing import Final

from remainder.change.chance import Breaks
from remainder.change.difference import Difference
from remainder.change.outlook import Outlook
from remainder.change.sessions import Sessions
from remainder.cli import plan_view
from remainder.cli.plan_view import percent
from remainder.plan import PlannedChoice

_STYLE: Final = """
:root { --ground: #fbfaf7; --ink: #23262b; --soft: #6d7178; --line: #cfcdc6; --bad: #b3261e; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #17191c; --ink: #e6e4df; --soft: #9a9ea6; --line: #3b3f45; --bad: #f2867e; } }
body { background: var(--ground); color: var(--ink); margin: 2.5rem auto; max-width: 62rem;
  padding: 0 1.25rem; font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin: 0; } h2 { font-size: 1.15rem; margin: 2.4rem 0 .2rem; }
p { margin: .3rem 0; } .soft { color: var(--soft); }
code, text, td, th { font-family: ui-monospace, "DejaVu Sans Mono", monospace; }
svg { width: 100%; height: auto; display: block; margin: .6rem 0; }
text { fill: var(--ink); font-size: 12px; } text.soft { fill: var(--soft); }
.stays { opacity: .25; } .moves { opacity: .65; }
table { border-collapse: collapse; font-size: .85rem; margin-top: .6rem; }
td, th { padding: .1rem 1rem .1rem 0; vertical-align: top; text-align: left; }
"""

_WIDTH, _LEFT, _RIGHT, _HEIGHT = 900, 220, 680, 320
_MOST_OWNERS: Final = 48
_MOST_CELLS: Final = 256


def page(found: Outlook, before: str, after: str) -> str:
    """The whole page as HTML; ``before`` and ``after`` are the names of the files."""
    parts = [
        "<h1>What would move</h1>",
        f'<p class="soft">From <code>{escape(before)}</code> to <code>{escape(after)}</code>.</p>',
    ]
    for one, broken in found.differences:
        parts += _choice(one, broken)
    if found.sessions is not None:
        parts += _sessions(found.sessions)
    parts.append("<h2>Steps</h2><ol>")
    parts += [f"<li>{_code(step)}</li>" for step in found.steps]
    parts.append("</ol>")
    return (
        '<!doctype html>\n<html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>remainder plan</title><style>{_STYLE}</style><body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def _code(sentence: str) -> str:
    """Words in backticks as code."""
    parts = escape(sentence).split("`")
    return "".join(f"<code>{part}</code>" if at % 2 else part for at, part in enumerate(parts))


def _choice(one: Difference, broken: Breaks) -> Iterator[str]:
    head, *rest = plan_view.lines_of(one, broken)
    yield f"<h2>{escape(head)}</h2>"
    if one.before is None or one.after is None or not one.moved:
        return
    colours = _colours(one)
    if len(colours) <= _MOST_OWNERS:
        yield _bands(one, colours)
    if max(one.before.slots, one.after.slots) <= _MOST_CELLS:
        yield _cells(one, one.before, one.after, colours=colours)
    for line in rest:
        word, said = line[2:11].strip(), line[11:].strip()
        if word in ("slots", "clients", "breaks", "before", "after", ""):
            yield f'<p><span class="soft">{word}</span> {escape(said)}</p>'
    yield "<table><tr><th>owner<th>slots<th>share<th>loses<th>gains"
    for owner in one.owners:
        cells = (
            owner.name,
            f"{owner.slots[0]:,} → {owner.slots[1]:,}",
            f"{percent(owner.share[0])} → {percent(owner.share[1])}",
            percent(owner.loses),
            percent(owner.gains),
        )
        yield "<tr>" + "".join(f"<td>{escape(cell)}" for cell in cells)
    yield "</table>"


def _colours(one: Difference) -> Mapping[str, str]:
    """Owner → colour, by turns of the golden angle, so that neighbours differ."""
    return {
        owner.name: f"hsl({at * 137.508 % 360:.0f} 55% 52%)" for at, owner in enumerate(one.owners)
    }


def _bands(one: Difference, colours: Mapping[str, str]) -> str:
    """Two bars of shares, and bands from the owner before to the owner after."""
    shapes = []
    left = _starts([(owner.name, owner.share[0]) for owner in one.owners])
    right = _starts([(owner.name, owner.share[1]) for owner in one.owners])
    flows = [
        (owner.name, owner.name, owner.share[0] - owner.loses)
        for owner in one.owners
        if owner.share[0] > owner.loses
    ]
    order = {name: at for at, name in enumerate(colours)}
    flows += [(shift.source, shift.target, shift.share) for shift in one.shifts]
    flows.sort(key=lambda flow: (order[flow[0]], order[flow[1]]))
    used = dict.fromkeys(colours, Fraction(0))
    tops: dict[tuple[str, str], Fraction] = {}
    for source, target, share in sorted(flows, key=lambda flow: (order[flow[1]], order[flow[0]])):
        tops[source, target] = right[target] + used[target]
        used[target] += share
    taken = dict.fromkeys(colours, Fraction(0))
    middle = (_LEFT + _RIGHT) // 2
    for source, target, share in flows:
        y, z, h = (_at(left[source] + taken[source]), _at(tops[source, target]), _at(share))
        taken[source] += share
        shapes.append(
            f'<path class="{"stays" if source == target else "moves"}" fill="{colours[source]}" '
            f'd="M{_LEFT} {y:.2f}C{middle} {y:.2f} {middle} {z:.2f} {_RIGHT} {z:.2f}V{z + h:.2f}'
            f'C{middle} {z + h:.2f} {middle} {y + h:.2f} {_LEFT} {y + h:.2f}Z">'
            f"<title>{escape(source)} → {escape(target)} {percent(share)}</title></path>"
        )
    for side, starts, x, anchor in ((0, left, _LEFT - 14, "end"), (1, right, _RIGHT, "start")):
        for owner in one.owners:
            share = owner.share[side]
            if not share:
                continue
            top, height = _at(starts[owner.name]), _at(share)
            shapes.append(
                f'<rect x="{x}" y="{top:.2f}" width="14" height="{height:.2f}" '
                f'fill="{colours[owner.name]}"/>'
            )
            if height >= 11:
                at = x - 8 if anchor == "end" else x + 22
                shapes.append(
                    f'<text x="{at}" y="{top + height / 2 + 4:.2f}" text-anchor="{anchor}">'
                    f"{escape(owner.name)} {percent(share)}</text>"
                )
    title = f"Shares of {escape(one.name)} before and after; coloured bands move"
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"><title>{title}</title>'
        f"{''.join(shapes)}</svg>"
    )


def _starts(shares: Sequence[tuple[str, Fraction]]) -> Mapping[str, Fraction]:
    starts, at = {}, Fraction(0)
    for name, share in shares:
        starts[name] = at
        at += share
    return starts


def _at(share: Fraction) -> float:
    return float(share) * _HEIGHT


def _cells(
    one: Difference, before: PlannedChoice, after: PlannedChoice, *, colours: Mapping[str, str]
) -> str:
    """Both tables, slot by slot."""
    shapes = []
    for row, (word, planned) in enumerate((("before", before), ("after", after))):
        names = [one.shown(owner) for owner in planned.owners]
        width = (_WIDTH - 60) / planned.slots
        y = 4 + row * 30
        shapes.append(f'<text class="soft" x="0" y="{y + 15}">{word}</text>')
        for slot, owner in enumerate(planned.table.tolist()):
            shapes.append(
                f'<rect x="{60 + slot * width:.2f}" y="{y}" width="{max(width - 1, 0.5):.2f}" '
                f'height="22" fill="{colours[names[owner]]}">'
                f"<title>slot {slot}: {escape(names[owner])}</title></rect>"
            )
    return (
        f'<svg viewBox="0 0 {_WIDTH} 62" role="img"><title>The tables, slot by slot</title>'
        f"{''.join(shapes)}</svg>"
    )


def _sessions(found: Sessions) -> Iterator[str]:
    yield "<h2>The given sessions</h2>"
    for line in plan_view.session_lines(found):
        if not line.startswith("    "):
            yield f"<p>{escape(line.strip())}</p>"
    yield "<table><tr><th>choice<th>owner<th>before<th>after"
    for (_, name), one in found.by_choice.items():
        for owner, (before, after) in sorted(one.load.items()):
            yield f"<tr><td>{escape(name)}<td>{escape(owner)}<td>{before:,}<td>{after:,}"
    yield "</table>"
