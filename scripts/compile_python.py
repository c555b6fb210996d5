#!/usr/bin/env python3
"""Compile the Python whose loops take long: a module becomes an extension beside it.

mypyc compiles the very source that Python would interpret, so the answer is
the same, and where a compiler, Python's headers or mypyc are missing the source
runs as it is.  Used by the build hook (scripts/hatch_build.py); by hand it needs
``mypy[mypyc]``, which the extra ``test`` brings.

::

    .venv/bin/python scripts/compile_python.py
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Final

SOURCES: Final = Path(__file__).resolve().parent.parent / "src"
MODULES: Final = (Path("remainder/selection/walk.py"),)


class CompileError(Exception):
    """The modules run as they are; the message says why, in a sentence without its full stop."""


def extension_of(source: Path) -> Path:
    """Where this Python looks for the compiled form of a module, before the module itself."""
    return source.with_suffix(sysconfig.get_config_var("EXT_SUFFIX"))


def compile_modules(sources: Path = SOURCES) -> list[Path]:
    """Compile every module; returns the extensions.

    Raises CompileError with no extension left, so that an old one is never
    taken for the source beside it.
    """
    extensions = [extension_of(sources / module) for module in MODULES]
    for extension in extensions:
        extension.unlink(missing_ok=True)
    reason = lacks_compiling()
    if reason:
        raise CompileError(reason)
    for module, extension in zip(MODULES, extensions, strict=True):
        _compile(sources, module, extension)
    return extensions


def header() -> Path:
    """Where this Python would have its headers."""
    return Path(sysconfig.get_path("include")) / "Python.h"


def lacks_compiling() -> str | None:
    """Why nothing can be compiled here, as far as one can tell without trying; None if it can."""
    if not header().exists():
        return f"{header()} is missing; on Debian or Ubuntu run: apt-get install libpython3-dev"
    if importlib.util.find_spec("mypyc") is None:
        return "mypyc is missing; run: pip install 'mypy[mypyc]'"
    return None


def _compile(sources: Path, module: Path, extension: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Outside its package, or mypyc would make two files of it.
        (folder / module.name).write_bytes((sources / module).read_bytes())
        run = subprocess.run(
            (sys.executable, "-m", "mypyc", "--config-file=", module.name),
            cwd=folder, env=_environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        made = extension_of(folder / module.name)
        if run.returncode != 0 or not made.exists():
            raise CompileError(f"{module.name} does not compile ({_last_word(run)})")
        new = extension.with_name(f".{extension.name}.{os.getpid()}")
        new.write_bytes(made.read_bytes())
        new.chmod(0o755)
        new.replace(extension)


def _environment() -> dict[str, str]:
    """clang, which the XDP programs need anyway, unless the user chose another compiler."""
    chosen = {} if "CC" in os.environ else {"CC": "clang", "LDSHARED": "clang -shared"}
    return {**os.environ, **chosen, "MYPYC_OPT_LEVEL": "3", "MYPYC_DEBUG_LEVEL": "0"}


def _last_word(run: subprocess.CompletedProcess[str]) -> str:
    lines = [line for line in (run.stdout + run.stderr).splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line]
    return (errors or lines or [f"exit {run.returncode}"])[-1].strip()


def main() -> int:
    """Compile the package's own modules."""
    try:
        compile_modules()
    except CompileError as error:
        print(f"compile_python: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
