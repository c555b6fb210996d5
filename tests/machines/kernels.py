"""Debian's stock kernels: the oldest that is supported, stable's, and the newest there is.

A kernel is a folder with ``vmlinuz`` and its modules; the modules that a boot needs are put in
their order by what they themselves say of their dependencies, so no depmod is needed.
"""

from __future__ import annotations

import lzma
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final

from tests.machines import emulator, packages
from tests.machines.packages import BACKPORTS, BOOKWORM, BULLSEYE, SID, TRIXIE, Suite, Wanted

_IMAGE: Final = "linux-image-amd64"


@dataclass(frozen=True)
class Kernel:
    """A kernel on disk."""

    name: str
    """6.1, 6.12"""
    release: str
    """6.1.0-56-amd64"""
    version: str
    """of the package: 6.1.192-2"""
    vmlinuz: Path
    modules: Path
    architecture: str = "amd64"


def _newest() -> Suite:
    """Where the newest kernel is: backports of stable are sometimes before sid."""
    backports, sid = (packages.version(suite, _IMAGE) for suite in (BACKPORTS, SID))
    return BACKPORTS if packages.is_newer(backports, sid) else SID


KERNELS: Final = ("oldest", "stable", "newest")
TOO_OLD: Final = "too-old"
"""Debian 11's: what people may still have, and what Remainder refuses."""

ARM: Final = "arm64"
"""Stable's, for another processor."""


_SUITES: Final = {
    TOO_OLD: BULLSEYE, "oldest": BOOKWORM, "stable": TRIXIE,
    ARM: replace(TRIXIE, architecture="arm64"),
}  # fmt: skip


@cache
def kernel(which: str) -> Kernel:
    """One of KERNELS, TOO_OLD or ARM, fetched if it is not here."""
    tree = packages.unpacked(f"kernel-{which}", lambda: _wanted(which))
    return _found(tree, "arm64" if which == ARM else "amd64")


def _wanted(which: str) -> Wanted:
    suite = _newest() if which == "newest" else _SUITES[which]
    image = f"linux-image-{suite.architecture}"
    return Wanted(suite, [image], only="linux-", leave=["./usr/share", "./boot/System.map*"])


def _found(tree: Path, architecture: str) -> Kernel:
    """A kernel in its tree: in /boot, from 7.x on beside its modules."""
    (modules,) = (tree / "usr" / "lib" / "modules").iterdir()
    release = modules.name
    images = [tree / "boot" / f"vmlinuz-{release}", modules / "vmlinuz"]
    (vmlinuz,) = [image for image in images if image.exists()]
    words = re.search(rb"#1 SMP.*? Debian (\S+)", _banner(vmlinuz, architecture))
    version = words[1].decode() if words else release
    if not (modules / "modules.dep").exists():
        depmod = emulator.command("kmod", name="depmod")
        subprocess.run((*depmod, "-b", str(tree / "usr"), release), check=True)
    name = ".".join(version.split(".")[:2])
    if architecture != "amd64":
        name += f" {architecture}"
    return Kernel(name, release, version, vmlinuz, modules, architecture)


def _banner(vmlinuz: Path, architecture: str) -> bytes:
    """What the kernel calls itself: the boot protocol of x86 keeps it uncompressed."""
    content = vmlinuz.read_bytes()
    if architecture != "amd64":
        return content
    head = content[: 1 << 16]
    at = int.from_bytes(head[0x20E:0x210], "little") + 0x200
    return head[at : head.index(b"\0", at)]


def modules_for(kernel: Kernel, wanted: Sequence[str]) -> list[tuple[str, bytes]]:
    """(name, content) of modules and all that they depend on, in an order that can be loaded.

    What is built in has no file, and is left out.
    """
    files = _files(kernel.modules)
    done: dict[str, bytes] = {}

    def add(name: str) -> None:
        if name in done or name not in files:
            return
        content = _content(files[name])
        for other in _depends(content):
            add(other)
        done[name] = content

    for name in wanted:
        add(name.replace("-", "_"))
    return list(done.items())


@cache
def _files(modules: Path) -> dict[str, Path]:
    return {
        path.name.partition(".ko")[0].replace("-", "_"): path for path in modules.rglob("*.ko*")
    }


def _content(path: Path) -> bytes:
    content = path.read_bytes()
    return lzma.decompress(content) if path.suffix == ".xz" else content


def _depends(module: bytes) -> Iterator[str]:
    words = re.search(rb"\0depends=([^\0]*)\0", module)
    softly = re.findall(rb"\0softdep=pre: ([^\0]*)\0", module)
    for name in words[1].decode().split(",") if words else []:
        if name:
            yield name.replace("-", "_")
    for names in softly:
        yield from (name.replace("-", "_") for name in names.decode().split())
