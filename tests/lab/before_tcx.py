"""``remainder`` on a kernel before Linux 6.6, which refuses tcx as 6.1 does.

To be run as a script, with the arguments of ``remainder``.
"""

from __future__ import annotations

import errno
import sys
from pathlib import Path

from remainder.cli import main
from remainder.kernel import libbpf, refusal


def refuse(program_fd: int, ifindex: int, hook: int) -> int:
    """An attach type that the kernel does not know."""
    del program_fd, ifindex, hook
    raise refusal.failure(errno.EINVAL, "attaching through tcx")


def command(way: str, *arguments: str) -> list[str]:
    """The command that runs ``remainder`` where tcx is there, or is not."""
    program = ["-m", "remainder"] if way == "tcx" else [str(Path(__file__))]
    return [sys.executable, *program, *arguments]


if __name__ == "__main__":
    libbpf.attach_behind = refuse
    main()
