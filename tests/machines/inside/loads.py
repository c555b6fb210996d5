"""Inside a guest: load every row of the matrix, publish, run a frame; say what failed.

By the product's own code, with the objects of the package that PYTHONPATH names.
One line of JSON per row goes into the file of the first argument.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from remainder.errors import RemainderError
from remainder.reference import process
from tests.bpf.kernel import SERVED, kernel
from tests.machines.inside.matrix import Row, rows


def why_not(row: Row) -> str:
    """Why a row does not do what it should; empty if it does."""
    try:
        with kernel(row.plan, row.node, more=row.more) as running:
            for frame in row.frames:
                expected, actual = process(row.plan, row.node, frame), running.process(frame)
                if expected != actual or actual.outcome not in SERVED:
                    return f"the model says {expected}, the kernel {actual}"
    except (AssertionError, RemainderError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def main() -> None:
    """Write a line per row."""
    with Path(sys.argv[1]).open("w", encoding="utf-8") as lines:
        for row in rows():
            start_s = time.monotonic()
            failed = why_not(row)
            took_s = round(time.monotonic() - start_s, 2)
            print(json.dumps({"row": row.name, "failed": failed, "took_s": took_s}), file=lines)
            lines.flush()


if __name__ == "__main__":
    main()
