"""How commands count: ``1 server``, ``65,537 slots``."""

from __future__ import annotations


def counted(number: int, thing: str) -> str:
    """A number of things that have a regular plural."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
