"""Build hook: compile the XDP programs and the slowest Python, and put both into the wheel.

For an editable install what is compiled lands beside its source, where the
package and Python look for it; git ignores it there.  The source distribution
carries nothing compiled.
"""

from __future__ import annotations

import runpy
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Compile(BuildHookInterface):  # type: ignore[type-arg]
    """Runs before the files of a wheel are collected."""

    def dependencies(self) -> list[str]:
        """What is fetched for a build: mypyc, at the version that judges the tree.

        Nothing where Python has no headers, since nothing could be compiled.
        """
        if not self._script("compile_python.py")["header"]().exists():
            return []
        return [
            wanted
            for wanted in self.metadata.core.optional_dependencies["test"]
            if wanted.startswith("mypy[mypyc]")
        ]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, name the results as files to ship, and choose the wheel's tag."""
        del version
        objects, extensions = self._objects(), self._extensions()
        build_data["artifacts"] += [
            str(path.relative_to(self.root)) for path in (*objects, *extensions)
        ]
        # Not any machine: the objects run on Linux alone and are little-endian
        # (bpf/abi.h insists).  No wheel tag says "little-endian Linux", so the
        # tag names the machine that built it: narrower than need be (x86-64 and
        # arm64 objects are alike), but a wheel that installs is a wheel that loads.
        build_data["pure_python"] = False
        if extensions:
            build_data["infer_tag"] = True  # this Python alone
        else:
            build_data["tag"] = (
                f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
            )

    def _objects(self) -> list[Path]:
        compiler = self._script("compile_bpf.py")
        try:
            return compiler["compile_folder"]()
        except compiler["CompileError"] as error:
            # Not an exception: pip would print its traceback above the sentence.
            raise SystemExit(f"remainder: {error}") from None

    def _extensions(self) -> list[Path]:
        compiler = self._script("compile_python.py")
        try:
            return compiler["compile_modules"]()
        except compiler["CompileError"] as error:
            print(f"remainder: runs uncompiled, only slower: {error}", file=sys.stderr)
            return []

    def _script(self, name: str) -> dict[str, Any]:
        # By path: while a package is built, its own folder cannot be imported from.
        return runpy.run_path(str(Path(self.root) / "scripts" / name))
