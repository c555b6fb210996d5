"""WHO owns a slot?  A new table algorithm is one file here and one line below."""

from collections.abc import Mapping
from typing import Final

from remainder.selection import maglev, modulo
from remainder.selection.maglev import DEFAULT_SLOTS
from remainder.selection.types import Algorithm, Table

ALGORITHMS: Final[Mapping[str, Algorithm]] = {
    "modulo": modulo.table,
    "maglev": maglev.table,
}

__all__ = ["ALGORITHMS", "DEFAULT_SLOTS", "Algorithm", "Table"]
