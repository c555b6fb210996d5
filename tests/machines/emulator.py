"""Qemu, busybox, kmod and iproute2 out of a tree of their own, whatever this host has.

They are Debian 13's on every host: the qemu of Debian 12 knows no igb.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from tests.machines import packages
from tests.machines.packages import TRIXIE, Wanted


@cache
def tree() -> Path:
    """The tree, fetched if it is not here."""
    wanted = Wanted(
        TRIXIE, ["qemu-system-x86", "busybox-static", "kmod", "iproute2"], leave=["./usr/share/doc"]
    )
    return packages.unpacked("qemu", lambda: wanted)


def command(binary: str, *, name: str | None = None) -> list[str]:
    """How a program of the tree is started, with the libraries of its tree.

    The same below the root of a guest, which sees the tree where this host does.
    """
    return [
        f"{tree()}/lib64/ld-linux-x86-64.so.2",
        "--library-path", f"{tree()}/usr/lib/x86_64-linux-gnu",
        *(["--argv0", name] if name else []),
        f"{tree()}/usr/bin/{binary}",
    ]  # fmt: skip


def start(
    machine: str, *arguments: str, log: Path, inside: Sequence[str] = ()
) -> subprocess.Popen[bytes]:
    """Qemu; what it says goes into a file.  ``inside`` is a command that runs commands."""
    share = f"{tree()}/usr/share"
    with log.open("wb") as output:
        return subprocess.Popen(
            (
                *inside,
                *command(f"qemu-system-{machine}"),
                "-L", f"{share}/qemu", "-L", f"{share}/seabios",
                "-nodefaults", "-no-reboot", "-display", "none",
                *arguments,
            ),
            env={
                **os.environ, "QEMU_MODULE_DIR": f"{tree()}/usr/lib/x86_64-linux-gnu/qemu",
            },
            stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip
