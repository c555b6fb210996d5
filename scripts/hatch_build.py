"""Build hook of all three distributions: compile, and ship what was compiled.

A wheel carries the compiled XDP programs of its package; the product's also the
slowest Python, as an extension.  For an editable install what is compiled lands
beside its source, where the package and Python look for it; git ignores it
there.  A source distribution carries the XDP programs with their sources, so
that a wheel can be made of it on a host without clang; an extension works with
one Python only and is left to whoever builds the wheel.
"""

from __future__ import annotations

import runpy
import sys
import sysconfig
from pathlib import Path
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PRODUCT: Final = "remainder"


class Compile(BuildHookInterface):  # type: ignore[type-arg]
    """Runs before the files of a wheel or of a source distribution are collected."""

    def dependencies(self) -> list[str]:
        """What is fetched for a build: mypyc, at the version that judges the tree.

        Nothing where Python has no headers, since nothing could be compiled.
        """
        if not self._has_extensions() or not self._script("compile_python.py")["header"]().exists():
            return []
        return [
            wanted
            for wanted in self.metadata.core.optional_dependencies["test"]
            if wanted.startswith("mypy[mypyc]")
        ]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, name the results as files to ship, and choose the wheel's tag."""
        del version
        compiled = self._objects()
        if self.target_name == "sdist":
            build_data["artifacts"] += compiled
            return
        extensions = self._extensions()
        build_data["artifacts"] += compiled + extensions
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

    def _objects(self) -> list[str]:
        compiler = self._script("compile_bpf.py")
        folder = Path("src", self.metadata.core.name.replace("-", "_"), "bpf")
        try:
            objects = compiler["make_objects"](Path(self.root) / folder)
        except compiler["CompileError"] as error:
            # Not an exception: pip would print its traceback above the sentence.
            raise SystemExit(f"{self.metadata.core.name}: {error}") from None
        # By its name: the folder of the lab and of the benchmark is found through a link.
        return [
            str(folder / name) for name in (*(path.name for path in objects), compiler["MANIFEST"])
        ]

    def _has_extensions(self) -> bool:
        return self.target_name != "sdist" and self.metadata.core.name == PRODUCT

    def _extensions(self) -> list[str]:
        if not self._has_extensions():
            return []
        compiler = self._script("compile_python.py")
        try:
            extensions = compiler["compile_modules"]()
        except compiler["CompileError"] as error:
            print(f"remainder: runs uncompiled, only slower: {error}", file=sys.stderr)
            return []
        top = compiler["SOURCES"].parent
        return [str(path.relative_to(top)) for path in extensions]

    def _script(self, name: str) -> dict[str, Any]:
        # By path: while a package is built, its own folder cannot be imported from.
        return runpy.run_path(str(Path(self.root) / "scripts" / name))
