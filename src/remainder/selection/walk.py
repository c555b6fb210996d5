"""The walk of Maglev: turn by turn, an owner goes on to its next free slot.

Most of the time that a table takes is spent here, so the build compiles this
module (scripts/compile_python.py) where it can.  Uncompiled it gives the same
answer, only later.
Rule: lists of small integers and nothing else, which is what the compiler makes fast.
Twin: itself, as an interpreter reads it.
"""

from typing import Final

FREE: Final = -1
"""Stands on a slot that nobody has."""


def walk(order: list[int], at: list[int], skips: list[int], slots: int) -> list[int]:
    """Who owns each slot when the owners of ``order`` have had their turns, one after the other.

    Owner *i* begins on slot ``at[i]`` and goes ``skips[i]`` slots at a time;
    ``at[i]`` is left on the last slot that it took.
    """
    owners = [FREE] * slots
    for owner in order:
        slot, skip = at[owner], skips[owner]
        while owners[slot] >= 0:
            slot += skip
            if slot >= slots:
                slot -= slots
        owners[slot] = owner
        at[owner] = slot
    return owners
