"""The walk of Maglev: turn by turn, an owner moves on to its next free slot.

Most of the time that a table takes is spent here, so the build compiles this
module (scripts/compile_python.py) where it can.  Uncompiled it gives the same
answer, only later.
Rule: lists of small integers and nothing else, which is what the compiler makes fast.
Twin: itself, as an interpreter reads it.
"""


def walk(order: list[int], offsets: list[int], skips: list[int], slots: int) -> list[int]:
    """The slot that each turn takes; ``order`` says whose turn it is, at most ``slots`` times.

    Owner *i* begins on slot ``offsets[i]`` and goes ``skips[i]`` slots at a time.
    """
    free = [True] * slots
    at = offsets.copy()
    taken: list[int] = []
    for owner in order:
        slot, skip = at[owner], skips[owner]
        while not free[slot]:
            slot += skip
            if slot >= slots:
                slot -= slots
        free[slot] = False
        at[owner] = slot
        taken.append(slot)
    return taken
