"""What a role does its own way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from remainder.fleet import Part
from remainder.kernel.hook import Hook
from remainder.kernel.netlink import Interface
from remainder.kernel.tables import Tables

Warn = Callable[[str], None]


def nothing_to_release(part: Part, interface: Interface) -> None:
    """For a role that put nothing on the interface but its program."""
    del part, interface


def nothing_to_warn_of(part: Part, interface: Interface) -> Iterator[str]:
    """For a role that any interface will do for."""
    del part, interface
    yield from ()


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """The points at which roles differ."""

    refuse: Callable[[Interface], None]
    """Raises HostError if the interface cannot have this role now."""
    prepare: Callable[[Tables, Part, Interface], None]
    """Writes what is no table: own MAC, the cluster's, the ranges of the segment."""
    attach: Callable[[int, Interface, str, Warn, Path], tuple[Hook, str]]
    """(program, interface, mode, warn, its name to be) → (where it stands, mode)."""
    release: Callable[[Part, Interface], None] = nothing_to_release
    """Takes back what ``prepare`` put on the interface."""
    warn_of: Callable[[Part, Interface], Iterator[str]] = nothing_to_warn_of
    """What runs, but not as it should; told once, at the start."""
