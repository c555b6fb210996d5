"""Warnings as a list, for what takes a ``messages.Warn``."""

from __future__ import annotations


class Warned(list[str]):
    """Remembers sentences; their ids stand in ``ids``."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str | None] = []

    def __call__(self, sentence: str, /, *, id: str | None = None) -> None:  # noqa: A002
        """As ``messages.Warn``."""
        self.append(sentence)
        self.ids.append(id)
