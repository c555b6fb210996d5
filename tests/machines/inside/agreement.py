"""Inside a guest: the kernel's programs and the reference model, frame by frame.

The plans of the matrix, and frames that get deep into the rules (tests/recipes.py); the same
ones on every kernel.  One JSON object, into the file of the first argument; a second one says
how many frames for each row.
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from remainder.errors import RemainderError
from remainder.reference import process
from tests import recipes
from tests.bpf.kernel import SERVED, kernel
from tests.machines.inside.matrix import Row, rows
from tests.roles import SHORTEST, turned

FRAMES: Final = 90
"""For each row: more than a thousand for each role."""


def frames(row: Row, number: int) -> Iterator[bytes]:
    """Random recipes, the same each time."""
    dice = random.Random(row.name)
    aims = recipes.aims_of(row.plan)
    mac = row.node.cluster_mac if row.role == "member" else row.node.mac
    for _ in range(number):
        frame = recipes.frame(dice.randbytes(recipes.RECIPE_BYTES), aims, mac)
        if row.role != "sender":
            yield frame
        elif len(frame) >= SHORTEST.get(frame[12:14], 15):
            yield turned(frame)


def main() -> None:
    """Compare, and count."""
    number = int(sys.argv[2]) if len(sys.argv) > 2 else FRAMES
    compared: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()
    differ: list[str] = []
    for row in rows():
        try:
            with kernel(row.plan, row.node, more=row.more) as running:
                for frame in frames(row, number):
                    expected, actual = process(row.plan, row.node, frame), running.process(frame)
                    compared[row.role] += 1
                    outcomes[expected.outcome.value] += 1
                    same = (expected.outcome, expected.frame) == (actual.outcome, actual.frame)
                    if expected.outcome in SERVED:
                        same &= (expected.choice, expected.owner) == (
                            actual.choice, actual.owner,
                        )  # fmt: skip
                    if not same:
                        differ.append(f"{row.name}: {frame.hex()}: {expected} != {actual}")
        except (AssertionError, RemainderError) as error:
            differ.append(f"{row.name}: {type(error).__name__}: {error}")
    answer = {"compared": compared, "outcomes": outcomes, "differ": differ}
    Path(sys.argv[1]).write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main()
