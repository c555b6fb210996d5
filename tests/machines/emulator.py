"""Qemu, busybox, kmod and iproute2 out of a tree of their own, whatever this host has.

They are Debian 13's on every host: the qemu of Debian 12 knows no igb.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from tests.machines import packages
from tests.machines.packages import TRIXIE, Wanted


@dataclass(frozen=True)
class Hardware:
    """What qemu emulates for an architecture of Debian's."""

    qemu: str
    console: str
    options: tuple[str, ...]


HARDWARE: Final[Mapping[str, Hardware]] = {
    "amd64": Hardware("x86_64", "ttyS0", ("-M", "q35", "-cpu", "max")),
    # What guards pointers takes more time than all the rest where it is translated.
    "arm64": Hardware("aarch64", "ttyAMA0", ("-M", "virt,gic-version=3", "-cpu", "max,pauth=off")),
}


@cache
def tree() -> Path:
    """The tree, fetched if it is not here."""
    wanted = Wanted(
        TRIXIE, ["qemu-system-x86", "busybox-static", "kmod", "iproute2"], leave=["./usr/share/doc"]
    )
    return packages.unpacked("qemu", lambda: wanted)


@cache
def _tree_of_arm() -> Path:
    """The same qemu for another processor."""
    wanted = Wanted(TRIXIE, ["qemu-system-arm"], leave=["./usr/share/doc"])
    return packages.unpacked("qemu-arm64", lambda: wanted)


def command(binary: str, *, name: str | None = None, of: Path | None = None) -> list[str]:
    """How a program of the tree is started, with the libraries of its tree.

    The same below the root of a guest, which sees the tree where this host does.
    """
    root = of or tree()
    return [
        f"{root}/lib64/ld-linux-x86-64.so.2",
        "--library-path", f"{root}/usr/lib/x86_64-linux-gnu",
        *(["--argv0", name] if name else []),
        f"{root}/usr/bin/{binary}",
    ]  # fmt: skip


def start(
    architecture: str, *arguments: str, log: Path, inside: Sequence[str] = ()
) -> subprocess.Popen[bytes]:
    """Qemu; what it says goes into a file.  ``inside`` is a command that runs commands."""
    hardware = HARDWARE[architecture]
    root = tree() if architecture == "amd64" else _tree_of_arm()
    share = f"{root}/usr/share"
    with log.open("wb") as output:
        return subprocess.Popen(
            (
                *inside,
                *command(f"qemu-system-{hardware.qemu}", of=root),
                "-L", f"{share}/qemu", "-L", f"{share}/seabios",
                "-nodefaults", "-no-reboot", "-display", "none",
                *hardware.options, *arguments,
            ),
            env={
                **os.environ, "QEMU_MODULE_DIR": f"{root}/usr/lib/x86_64-linux-gnu/qemu",
            },
            stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip
