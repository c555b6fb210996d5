"""WHO owns a slot?  A new table algorithm is one file here and one line below."""

from collections.abc import Mapping, Sequence
from math import gcd
from typing import Final

from remainder.selection import maglev, modulo, rendezvous
from remainder.selection.maglev import DEFAULT_SLOTS
from remainder.selection.types import Algorithm, Table

ALGORITHMS: Final[Mapping[str, Algorithm]] = {
    "modulo": modulo.table,
    "maglev": maglev.table,
    "rendezvous": rendezvous.table,
}


def slots_of(table: str, weights: Sequence[int], slots: int | None) -> int:
    """How many slots a table will have, before it is filled."""
    if table == "modulo" and slots is None:
        return sum(weights) // max(gcd(*weights), 1)
    return slots or DEFAULT_SLOTS


__all__ = ["ALGORITHMS", "DEFAULT_SLOTS", "Algorithm", "Table", "slots_of"]
