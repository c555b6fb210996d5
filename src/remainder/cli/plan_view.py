"""What ``plan`` prints, and the commands that edit a file before they ask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Final

from remainder.change.chance import Breaks
from remainder.change.classes import Classes
from remainder.change.difference import Difference
from remainder.change.outlook import Outlook
from remainder.change.sessions import Sessions
from remainder.cli.counting import counted
from remainder.explain import place
from remainder.fleet import TierKind
from remainder.plan import PlannedChoice

OWNER: Final[Mapping[TierKind, str]] = {
    "service": "server",
    "cluster": "member",
    "return_path": "router",
}
_MOST_OWNERS: Final = 16
_MOST_SHIFTS: Final = 6
_MOST_RANGES: Final = 6


def text(found: Outlook) -> str:
    """The whole answer."""
    lines: list[str] = []
    for one, broken in found.differences:
        lines += lines_of(one, broken)
    if found.sessions is not None:
        lines += session_lines(found.sessions)
    lines.append("steps:")
    lines += [f"  {number}. {step}" for number, step in enumerate(found.steps, 1)]
    return "\n".join(lines)


def percent(share: Fraction) -> str:
    """A share with three digits; never 0 or 100 unless it is exactly that."""
    number = float(100 * share)
    if 0 < share < Fraction(1, 1000):
        return f"{number:.2g} %"
    if Fraction(999, 1000) < share < 1:
        return f"{number:.6g} %"
    return f"{number:.3g} %"


def lines_of(one: Difference, broken: Breaks) -> Iterator[str]:
    """One choice: a headline, then details."""
    head = f"{one.name}  {place(one.match)}"
    if one.before is None:
        yield f"{head}: new, no sessions yet"
        return
    if one.after is None:
        yield f"{head}: gone, all of its sessions break"
        return
    if not one.moved:
        yield f"{head}: no flow moves"
        return
    yield f"{head}: {percent(one.moved)} of the flows move; the least possible is " + percent(
        one.least
    )
    yield f"  before   {_calculation(one.before)}"
    yield f"  after    {_calculation(one.after)}"
    if one.basis == "independent":
        yield "           the keys differ, so the shares are those of random flows; "
        yield "           --flows and --capture count real ones"
    if one.slots_moved is not None:
        yield f"  slots    {one.slots_moved:,} of {one.after.slots:,} change their owner"
    yield from _owners(one)
    shifts = [
        f"{shift.source} → {shift.target} {percent(shift.share)}"
        for shift in one.shifts[:_MOST_SHIFTS]
    ]
    rest = one.shift_count - len(shifts)
    yield f"  moves    {', '.join(shifts)}{f', and {rest:,} more' if rest else ''}"
    if one.classes is not None:
        yield f"  clients  {_classes(one.classes)}"
    yield from _breaks(broken)


def _calculation(planned: PlannedChoice) -> str:
    return f"{planned.key}, {planned.choice.table}, {counted(planned.slots, 'slot')}"


def _owners(one: Difference) -> Iterator[str]:
    rows = [
        (
            owner.name,
            f"{owner.slots[0]:,} → {owner.slots[1]:,}",
            f"{percent(owner.share[0])} → {percent(owner.share[1])}",
            percent(owner.loses),
            percent(owner.gains),
        )
        for owner in one.owners
        if owner.loses or owner.gains
    ]
    table = [(OWNER[one.kind], "slots", "share", "loses", "gains"), *rows[:_MOST_OWNERS]]
    widths = [max(len(row[column]) for row in table) for column in range(5)]
    for row in table:
        yield (
            "  "
            + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )
    if len(rows) > _MOST_OWNERS:
        yield f"  and {len(rows) - _MOST_OWNERS} more; --json and --html show all"


def _classes(found: Classes) -> str:
    if not found.stay:
        return f"all move, whatever {found.expression} is"
    ranges = [f"{first}–{last}" if first < last else f"{first}" for first, last in found.stay]
    if len(ranges) > _MOST_RANGES:
        stay = sum(last - first + 1 for first, last in found.stay)
        return (
            f"{found.expression} % {found.modulus:,} decides: {stay:,} remainders stay, "
            f"{', '.join(ranges[:_MOST_RANGES])} and so on; --json shows more"
        )
    whole = found.expression if " " not in found.expression else f"({found.expression})"
    return f"those with {whole} % {found.modulus:,} in {', '.join(ranges)} stay, all others move"


def _breaks(broken: Breaks) -> Iterator[str]:
    sessions = f"{percent(broken.without)} of the sessions"
    if broken.with_chance is None:
        yield f"  breaks   {sessions}; {broken.why}"
        return
    rest = f"{percent(broken.with_chance)} of the TCP" if broken.with_chance else "no TCP"
    why = f"; {broken.why}: {', '.join(broken.unable)}" if broken.unable else ""
    if broken.listed:
        yield f"  breaks   {rest} sessions{why}; without the second chance {sessions}"
        return
    yield f"  breaks   {sessions}: the new file does not list the earlier calculation"
    yield f"           if it did: {rest} sessions{why}"


def session_lines(found: Sessions) -> Iterator[str]:
    """What becomes of the given sessions."""
    total = found.total
    others = found.seen - total.sessions
    rest = f" ({counted(others, 'other flow')} not of this file)" if others else ""
    yield (
        f"flows: {counted(total.sessions, 'session')}{rest}, "
        f"{total.moved:,} move, {total.broken:,} break without the second chance, "
        f"{total.broken_with_chance:,} with the earlier calculations of the new file"
    )
    for (_, name), one in found.by_choice.items():
        yield (
            f"  {name}  {counted(one.sessions, 'session')}, {one.moved:,} move, "
            f"{one.broken_with_chance:,} break"
        )
        loads = sorted(one.load.items())
        width = max((len(owner) for owner, _ in loads), default=0)
        for owner, (before, after) in loads[:_MOST_OWNERS]:
            yield f"    {owner:<{width}}  {before:,} → {after:,}"
        if len(loads) > _MOST_OWNERS:
            yield f"    and {len(loads) - _MOST_OWNERS} more"
