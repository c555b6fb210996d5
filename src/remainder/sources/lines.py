"""The line of each value in a TOML text.

Rule: right or silent.  tomli has already parsed the text; this walk finds the
same values a second time, and says nothing if the two disagree.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

import tomli

Place = tuple[str | int, ...]
"""The way to a value: ``("service", 0, "servers", 1, "weight")``."""


class _Token(NamedTuple):
    kind: str
    text: str
    line: int


_TOKEN: Final = re.compile(
    r"""
      (?P<newline> \n )
    | (?P<skipped> \#[^\n]* | [ \t\r]+ )
    | (?P<quoted>  \"{3} (?: [^\\] | \\. )*? \"{3,5} | '{3} .*? '{3,5}
                 | \" (?: [^\"\\] | \\. )* \" | '[^']*' )
    | (?P<mark>    [][{}=,.] )
    | (?P<bare>    [^][{}=,.\s\#\"']+ )
    """,
    re.DOTALL | re.VERBOSE,
)


def lines_of(text: str, raw: dict[str, object]) -> Mapping[Place, int]:
    """Each place of ``raw``, which tomli made of ``text``, with its line, from 1.

    A table has the line of its header or of its first key.  Empty if the lines
    cannot be determined.
    """
    walk = _Walk(text)
    try:
        walk.document()
        return walk.lines if walk.lines.keys() == set(_places(raw, ())) else {}
    except (IndexError, ValueError, RecursionError):
        return {}


def _places(value: object, place: Place) -> Iterator[Place]:
    if place:
        yield place
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _places(item, (*place, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _places(item, (*place, number))


def _tokens(text: str) -> Iterator[_Token]:
    line = 1
    for match in _TOKEN.finditer(text):
        if match.lastgroup != "skipped":
            yield _Token(match.lastgroup or "", match[0], line)
        line += match[0].count("\n")


class _Walk:
    """One pass over the tokens; ``lines`` grows as it goes."""

    def __init__(self, text: str) -> None:
        self.tokens = list(_tokens(text))
        self.at = 0
        self.lines: dict[Place, int] = {}
        self.length: dict[Place, int] = {}
        """arrays of tables → how many of their tables were met"""

    def peek(self) -> str:
        return self.tokens[self.at].text

    def take(self) -> _Token:
        self.at += 1
        return self.tokens[self.at - 1]

    def note(self, place: Place, line: int) -> None:
        for end in range(1, len(place) + 1):
            self.lines.setdefault(place[:end], line)

    def document(self) -> None:
        table: Place = ()
        while self.at < len(self.tokens):
            if self.peek() == "[":
                table = self.header()
            elif self.tokens[self.at].kind == "newline":
                self.at += 1
            else:
                self.pair(table)

    def header(self) -> Place:
        line = self.take().line
        is_array = self.peek() == "["
        self.at += is_array
        *parents, last = self.key(end="]")
        self.at += is_array
        place: Place = ()
        for parent in parents:
            place = (*place, parent)
            if place in self.length:
                place = (*place, self.length[place] - 1)
        place = (*place, last)
        if is_array:
            number = self.length.get(place, 0)
            self.length[place] = number + 1
            place = (*place, number)
        self.note(place, line)
        return place

    def key(self, end: str) -> list[str]:
        words = []
        while (token := self.take()).text != end:
            if token.kind == "quoted":
                words.append(str(tomli.loads(f"key = {token.text}")["key"]))
            elif token.kind == "bare":
                words.append(token.text)
        return words

    def pair(self, table: Place) -> None:
        line = self.tokens[self.at].line
        place = (*table, *self.key(end="="))
        self.note(place, line)
        self.value(place)

    def value(self, place: Place) -> None:
        opening = self.peek()
        if opening == "[":
            self.at += 1
            number = 0
            while not self.closed("]"):
                self.note((*place, number), self.tokens[self.at].line)
                self.value((*place, number))
                number += 1
        elif opening == "{":
            self.at += 1
            while not self.closed("}"):
                self.pair(place)
        else:
            start = self.at
            while self.at < len(self.tokens) and self.peek() not in ("\n", ",", "]", "}"):
                self.at += 1
            if self.at == start:
                raise ValueError("no value where one must be")

    def closed(self, bracket: str) -> bool:
        """Skip what is allowed between two items, and the closing bracket."""
        while self.peek() in ("\n", ","):
            self.at += 1
        if self.peek() != bracket:
            return False
        self.at += 1
        return True
