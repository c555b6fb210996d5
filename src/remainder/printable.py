"""Text of others, as it may reach a terminal: no escape sequence in it, no second line.

A name in a file, in a report of another node or in a directory may hold anything: an
escape sequence that clears the line and writes "agrees", a line break, a mark that
turns the direction of reading.  Everything that a person reads goes through here.
Rule: pure; JSON needs none of it, its strings are escaped by their format.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

MOST_OF_A_NAME: Final = 80
"""Longer than any name that the file allows."""


def printable(text: object, most: int | None = None) -> str:
    r"""Text on one line: what does not print as itself is shown as ``\x1b``; cut after ``most``."""
    whole = str(text)
    shown = whole if most is None or len(whole) <= most else f"{whole[:most]}…"
    if shown.isprintable():
        return shown
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in shown)


def printable_name(text: object) -> str:
    """A name that somebody else chose, cut."""
    return printable(text, MOST_OF_A_NAME)


def printable_lines(lines: Iterable[str]) -> str:
    """Lines, one below the other, and not one more."""
    return "\n".join(map(printable, lines))


def all_printable(value: Any) -> Any:
    """Plain data with every text in it printable."""
    match value:
        case str():
            return printable(value)
        case dict():
            return {printable(key): all_printable(item) for key, item in value.items()}
        case list():
            return [all_printable(item) for item in value]
    return value
