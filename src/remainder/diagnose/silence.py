"""Who has fallen silent, and who is back?  From what the kernel knows of its neighbours.

A silent server keeps its share and its last MAC (docs/limits.md); this only says so.
Rule: pure; the clock is passed in.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from remainder.flow import Address
from remainder.kernel.neighbours import Neighbour

GRACE_S: Final = 4.0
"""An entry that was just made, or made again, has no answer yet."""


@dataclass
class Silence:
    """What was seen so far."""

    since: dict[Address, float] = field(default_factory=dict)
    """Silent ones → when that was seen first."""
    _told: set[Address] = field(default_factory=set)

    def look(
        self, wanted: Iterable[Address], found: Mapping[Address, Neighbour], now_s: float
    ) -> tuple[list[Address], list[Address]]:
        """(gone, back): those that fell silent, and those that answer again, each once."""
        wanted = set(wanted)
        quiet = {address for address in wanted if address not in found or not found[address].valid}
        self.since = {
            address: self.since.get(address, now_s) for address in sorted(quiet, key=_order)
        }
        gone = [
            address
            for address, since_s in self.since.items()
            if address not in self._told and now_s - since_s >= GRACE_S
        ]
        back = sorted((self._told & wanted) - quiet, key=_order)
        self._told = (self._told & quiet) | set(gone)
        return gone, back

    def recall(self, since: Mapping[Address, float]) -> None:
        """What the process before has seen and said."""
        self.since = dict(since)
        self._told = set(since)

    @property
    def lasting(self) -> dict[Address, float]:
        """Silent for longer than the grace → since when."""
        return {address: self.since[address] for address in self._told if address in self.since}


def sentence(
    addresses: Collection[Address], names: Mapping[Address, str], word: str, *, back: bool
) -> str:
    """One line, however many they are."""
    shown = [f"{names[address]!r} ({address})" for address in addresses]
    if len(shown) > _SHOWN:
        shown = [*shown[:_SHOWN], f"{len(addresses) - _SHOWN} more"]
    many = len(addresses) > 1
    who = f"{word}{'s' * many} {', '.join(shown)}"
    if back:
        return f"{who} answer{'s' * (not many)} again"
    return (
        f"{who} no longer answer{'s' * (not many)} ARP or neighbour discovery; "
        f"{'they keep their shares' if many else 'it keeps its share'}, so clients wait in vain "
        f"until {'they are' if many else 'it is'} back or the file changes"
    )


_SHOWN: Final = 4


def _order(address: Address) -> tuple[int, int]:
    return address.version, int(address)
