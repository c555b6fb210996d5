"""The programs, compiled by Debian's compilers: the oldest that is supported, stable's, the newest.

Each compiler stands in a tree of its own with the headers of its Debian, and compiles there by
the product's own script (scripts/compile_bpf.py), in a root of its own.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from scripts import compile_bpf
from tests.machines import packages
from tests.machines.packages import BOOKWORM, SID, TRIXIE, Suite, Wanted

_HEADERS: Final = ("libbpf-dev", "linux-libc-dev")
_TRIPLE: Final = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}


def _highest() -> str:
    """The newest clang that Debian has at all."""
    found = packages.names(SID, "^clang-[0-9]+$")
    return max(found, key=lambda name: int(name.removeprefix("clang-")))


_COMPILERS: Final[Mapping[str, tuple[Suite, Callable[[], str]]]] = {
    "oldest": (BOOKWORM, lambda: "clang"),
    "stable": (TRIXIE, lambda: "clang"),
    "newest": (SID, _highest),
}

COMPILERS: Final = tuple(_COMPILERS)


@cache
def tree(which: str) -> Path:
    """A tree with ``clang`` in it."""
    suite, package = _COMPILERS[which]
    leave = ["./usr/share", "./usr/lib/gcc", "*.a"]
    path = packages.unpacked(
        f"clang-{which}", lambda: Wanted(suite, [package(), *_HEADERS], leave=leave)
    )
    binary = path / "usr" / "bin" / "clang"
    if not binary.exists():
        (versioned,) = path.glob("usr/bin/clang-[0-9][0-9]")
        binary.symlink_to(versioned.name)
    return path


@cache
def version(which: str) -> str:
    """``14.0.6``, as it says itself."""
    said = subprocess.run(
        ("chroot", str(tree(which)), "/usr/bin/clang", "--version"),
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    found = re.search(r"clang version ([0-9.]+)", said)
    if found is None:
        raise compile_bpf.CompileError(f"clang's version is not in its own words: {said}")
    return found[1]


@cache
def _tree_of_arm(which: str) -> Path:
    """The same compiler with the headers of Debian for arm64."""
    suite, _ = _COMPILERS[which]
    other = Suite(suite.name, suite.sources, "arm64", suite.preferred)
    headers = packages.unpacked(
        f"headers-arm64-{which}", lambda: Wanted(other, _HEADERS, leave=["./usr/share"])
    )
    copy = packages.CACHE / f"clang-{which}-arm64"
    if copy.exists():
        shutil.rmtree(copy)
    shutil.copytree(
        tree(which),
        copy,
        symlinks=True,
        copy_function=os.link,
        ignore=lambda folder, _: {"include"} if Path(folder) == tree(which) / "usr" else set(),
    )
    shutil.copytree(headers / "usr" / "include", copy / "usr" / "include", symlinks=True)
    return copy


def compile_into(
    folder: Path,
    which: str,
    *,
    architecture: str = "amd64",
    change: Callable[[Path], None] = lambda _: None,
) -> list[Path]:
    """Compile copies of every package's sources; the objects are in ``folder``/PACKAGE.

    ``change`` may break the copies of the product's sources first.
    """
    root = tree(which) if architecture == "amd64" else _tree_of_arm(which)
    compile_bpf.include_folder()  # reads a file of this host's Python, so before the root changes
    with TemporaryDirectory(dir=root) as made:
        for package in compile_bpf.PACKAGES:
            copied = Path(made, package, "bpf")
            copied.mkdir(parents=True)
            for source in (compile_bpf.SOURCES / package / "bpf").glob("*.[ch]"):
                shutil.copy2(source, copied)
        change(Path(made, "remainder", "bpf"))
        child = multiprocessing.get_context("fork").Process(
            target=_compile_below, args=(root, Path(made).name, _TRIPLE[architecture])
        )
        child.start()
        child.join()
        said = Path(made, "said")
        if child.exitcode != 0:
            raise compile_bpf.CompileError(
                f"clang {version(which)}: "
                f"{said.read_text(encoding='utf-8') if said.exists() else child.exitcode}"
            )
        objects = []
        for found in sorted(Path(made).glob("*/bpf/*.o")):
            target = folder / found.parent.parent.name
            target.mkdir(parents=True, exist_ok=True)
            objects.append(Path(shutil.copy2(found, target)))
        return objects


def _compile_below(root: Path, name: str, triple: str) -> None:
    """In a process of its own: another root, then what ./test does too."""
    os.chroot(root)
    os.chdir("/")
    os.environ["PATH"] = "/usr/bin"
    compile_bpf.include_folder = lambda: f"/usr/include/{triple}"
    try:
        for package in compile_bpf.PACKAGES:
            compile_bpf.compile_folder(Path("/", name, package, "bpf"))
    except compile_bpf.CompileError as error:
        Path("/", name, "said").write_text(str(error), encoding="utf-8")
        raise SystemExit(1) from None


def package_with(
    folder: Path, which: str, *, change: Callable[[Path], None] = lambda _: None
) -> Path:
    """A copy of the package with the objects of a compiler, for PYTHONPATH."""
    package = folder / "remainder"
    shutil.copytree(
        compile_bpf.SOURCES / "remainder", package, ignore=shutil.ignore_patterns("*.bpf.o")
    )
    for compiled in compile_into(folder / "objects", which, change=change):
        if compiled.parent.name == "remainder":
            shutil.copy2(compiled, package / "bpf")
    return folder
