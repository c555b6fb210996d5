#!/usr/bin/env python3
"""Compile the XDP programs: every ``*.bpf.c`` of a folder becomes a ``*.bpf.o`` beside it.

The one place that knows the compiler's flags.  Used by the build hook
(hatch_build.py), by ./demo and ./test after a change of the C, and by tests
that break the C on purpose.  Standard library only: it runs before anything
is installed.

::

    python3 scripts/compile_bpf.py [FOLDER]
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).resolve().parent.parent / "src" / "remainder" / "bpf"

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


def include_folder() -> str:
    """Where Debian keeps ``asm/types.h``; ``-target bpf`` alone does not look there."""
    machine = sysconfig.get_config_var("MULTIARCH") or f"{platform.machine()}-linux-gnu"
    return f"/usr/include/{machine}"


def compile_file(source: Path, target: Path) -> None:
    """Compile one ``*.bpf.c``; ``target`` is replaced in one step, or left as it was.

    Raises CompileError: no compiler, no headers, or an error in the source.
    """
    new = target.with_name(f".{target.name}.{os.getpid()}")
    command = ("clang", *FLAGS, f"-I{include_folder()}", "-I.", "-c", source.name, "-o", str(new))
    try:
        run = subprocess.run(
            command, cwd=source.parent, capture_output=True, text=True, check=False
        )
        if run.returncode != 0:
            raise CompileError(_explain(source, run.stderr))
        new.replace(target)
    except FileNotFoundError:
        raise CompileError(_missing("the compiler clang")) from None
    finally:
        new.unlink(missing_ok=True)


def compile_folder(folder: Path = FOLDER) -> list[Path]:
    """Compile every ``*.bpf.c`` of a folder; returns the objects.  Raises CompileError."""
    folder = folder.resolve()
    sources = sorted(folder.glob("*.bpf.c"))
    if not sources:
        raise CompileError(f"{folder} has no *.bpf.c; is this the whole source tree?")
    objects = [source.with_suffix(".o") for source in sources]
    for source, target in zip(sources, objects, strict=True):
        compile_file(source, target)
    return objects


def _explain(source: Path, stderr: str) -> str:
    header = re.search(r"fatal error: '((?:bpf|linux|asm)/[^']*)' file not found", stderr)
    if header:
        return _missing(f"the header {header[1]}")
    if "No available targets are compatible" in stderr or "unknown target triple" in stderr:
        return _missing("a clang that can compile for BPF")
    return f"{source.name} does not compile:\n{stderr.rstrip()}"


def _missing(what: str) -> str:
    return (
        f"{what} is missing, and the XDP programs are compiled from C; "
        f"on Debian or Ubuntu run: apt-get install clang libbpf-dev linux-libc-dev"
    )


def main() -> int:
    """Compile the folder on the command line, or the package's own."""
    parser = argparse.ArgumentParser(description="Compile every *.bpf.c of a folder.")
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER)
    try:
        compile_folder(parser.parse_args().folder)
    except CompileError as error:
        print(f"compile_bpf: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
