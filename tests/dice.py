"""The choices of a recipe, see recipes.py."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """The choices of a recipe, one after the other."""

    def __init__(self, recipe: bytes) -> None:
        self._rest = iter(recipe)

    def number(self, size_bytes: int) -> int:
        """Any number of so many bytes."""
        return int.from_bytes(bytes(next(self._rest, 0) for _ in range(size_bytes)), "big")

    def below(self, bound: int) -> int:
        """A number from 0 to ``bound - 1``; about evenly."""
        return self.number(1 if bound <= 0x100 else 2) % bound

    def pick(self, choices: Sequence[T]) -> T:
        """One of the choices."""
        return choices[self.below(len(choices))]


def shares(*choices: tuple[int, Sequence[T]]) -> list[T]:
    """For ``pick``: so many shares for each of the sequences, whatever its length."""
    size = max(len(elements) for _, elements in choices)
    return [
        element
        for share, elements in choices
        for element in itertools.islice(itertools.cycle(elements), share * size)
    ]
