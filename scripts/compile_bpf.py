#!/usr/bin/env python3
"""Compile the XDP programs: every ``*.bpf.c`` of a folder becomes a ``*.bpf.o`` beside it.

The one place that knows the compiler's flags.  Used by the build hook
(scripts/hatch_build.py), by ./demo and ./test after a change of the C, and by tests
that break the C on purpose.  Standard library only: it runs before anything
is installed.

A manifest beside the objects, objects.json, says of which sources and by which
compiler they were made.  So a source distribution can carry them, and a host
without a compiler can tell that they belong to the sources it has.

::

    python3 scripts/compile_bpf.py [FOLDER…]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

SOURCES: Final = Path(__file__).resolve().parent.parent / "src"
PACKAGES: Final = ("remainder", "remainder_lab", "remainder_bench")

SHARED: Final = Path("..", "..", "remainder", "bpf")
"""The product's headers, as any package's folder of programs sees them."""

MANIFEST: Final = "objects.json"

FLAGS: Final = (
    "-target", "bpf",
    "-mcpu=v3",  # 32-bit compares and ALU: Linux 5.1
    "-O2",
    "-g",  # BTF; libbpf refuses maps without it
    "-Wall",
    "-Werror",
    # No path of the machine that compiles gets into the object, so the same
    # source and compiler give the same bytes everywhere.
    "-fdebug-compilation-dir=.",
)  # fmt: skip


class CompileError(Exception):
    """The objects cannot be made; the message is for the user."""


class ToolMissing(CompileError):
    """Nothing is wrong with the sources: a compiler or a header is not here."""

    def __init__(self, what: str, why: str = "the XDP programs are compiled from C") -> None:
        self.what = what
        super().__init__(
            f"{what} is missing, and {why}; "
            f"on Debian or Ubuntu run: apt-get install clang libbpf-dev linux-libc-dev"
        )


def include_folder() -> str:
    """Where Debian keeps ``asm/types.h``; ``-target bpf`` alone does not look there."""
    machine = sysconfig.get_config_var("MULTIARCH") or f"{platform.machine()}-linux-gnu"
    return f"/usr/include/{machine}"


def compile_file(source: Path, target: Path) -> None:
    """Compile one ``*.bpf.c``; ``target`` is replaced in one step, or left as it was.

    Raises CompileError: no compiler, no headers, or an error in the source.
    """
    new = target.with_name(f".{target.name}.{os.getpid()}")
    includes = (f"-I{folder}" for folder in (include_folder(), ".", SHARED))
    command = ("clang", *FLAGS, *includes, "-c", source.name, "-o", str(new))
    try:
        run = subprocess.run(
            command, cwd=source.parent, capture_output=True, text=True, check=False
        )
        if run.returncode != 0:
            raise _explained(source, run.stderr)
        new.replace(target)
    except FileNotFoundError:
        raise ToolMissing("the compiler clang") from None
    finally:
        new.unlink(missing_ok=True)


def compile_folder(folder: Path) -> list[Path]:
    """Compile every ``*.bpf.c`` of a folder, and write the manifest; returns the objects.

    Raises CompileError.
    """
    folder = folder.resolve()
    objects = _objects_of(folder)
    for target in objects:
        compile_file(target.with_suffix(".c"), target)
    manifest = {
        "compiler": _compiler(),
        "flags": FLAGS,
        "sources": _digests(_sources_of(folder), folder),
        "objects": _digests(objects, folder),
    }
    new = folder / f".{MANIFEST}.{os.getpid()}"
    new.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    new.replace(folder / MANIFEST)
    return objects


def make_objects(folder: Path) -> list[Path]:
    """The compiled objects of a folder; where nothing can be compiled, those that came with it.

    Raises CompileError: there are none, or they were made of other sources.
    """
    try:
        return compile_folder(folder)
    except ToolMissing as missing:
        folder = folder.resolve()
        if not (folder / MANIFEST).exists():
            raise
        if not _are_of_these_sources(folder):
            raise ToolMissing(
                missing.what, "the compiled programs that are here were made from other sources"
            ) from None
        return _objects_of(folder)


def _objects_of(folder: Path) -> list[Path]:
    sources = sorted(folder.glob("*.bpf.c"))
    if not sources:
        raise CompileError(f"{folder} has no *.bpf.c; is this the whole source tree?")
    return [source.with_suffix(".o") for source in sources]


def _sources_of(folder: Path) -> list[Path]:
    """Everything that an object of this folder may be made of."""
    return sorted({*folder.glob("*.[ch]"), *(folder / SHARED).resolve().glob("*.h")})


def _digests(files: Iterable[Path], folder: Path) -> dict[str, str]:
    """Path as the folder sees it → SHA-256."""
    return {
        os.path.relpath(file, folder): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in files
    }


def _are_of_these_sources(folder: Path) -> bool:
    """Whether sources and objects are those of the manifest, which may be anything."""
    try:
        manifest: Any = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return bool(
            manifest["flags"] == list(FLAGS)
            and manifest["sources"] == _digests(_sources_of(folder), folder)
            and manifest["objects"] == _digests(_objects_of(folder), folder)
        )
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _compiler() -> str:
    """The first line of what clang says about itself, which names its version."""
    run = subprocess.run(("clang", "--version"), capture_output=True, text=True, check=False)
    return run.stdout.partition("\n")[0].strip()


def _explained(source: Path, stderr: str) -> CompileError:
    header = re.search(r"fatal error: '((?:bpf|linux|asm)/[^']*)' file not found", stderr)
    if header:
        return ToolMissing(f"the header {header[1]}")
    if "No available targets are compatible" in stderr or "unknown target triple" in stderr:
        return ToolMissing("a clang that can compile for BPF")
    return CompileError(f"{source.name} does not compile:\n{stderr.rstrip()}")


def main() -> int:
    """Compile the folders on the command line, or those of the packages."""
    parser = argparse.ArgumentParser(description="Compile every *.bpf.c of a folder.")
    parser.add_argument(
        "folder", nargs="*", type=Path, default=[SOURCES / name / "bpf" for name in PACKAGES]
    )
    try:
        for folder in parser.parse_args().folder:
            compile_folder(folder)
    except CompileError as error:
        print(f"compile_bpf: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
