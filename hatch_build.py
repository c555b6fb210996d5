"""Build hook: compile the XDP programs and put the objects into the wheel.

For an editable install the objects land beside their sources, where the
package looks for them; git ignores them there.  The source distribution
carries no objects.
"""

from __future__ import annotations

import runpy
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompileBpf(BuildHookInterface):  # type: ignore[type-arg]
    """Runs before the files of a wheel are collected."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, name the objects as files to ship, and choose the wheel's tag."""
        del version
        # By path: while a package is built, its own folder cannot be imported from.
        compiler = runpy.run_path(str(Path(self.root) / "scripts" / "compile_bpf.py"))
        try:
            objects = compiler["compile_folder"]()
        except compiler["CompileError"] as error:
            # Not an exception: pip would print its traceback above the sentence.
            raise SystemExit(f"remainder: {error}") from None
        build_data["artifacts"] += [str(path.relative_to(self.root)) for path in objects]
        # Any Python 3, but not any machine: the objects run on Linux alone and
        # are little-endian (bpf/abi.h insists).  No wheel tag says
        # "little-endian Linux", so the tag names the machine that built it:
        # narrower than need be (x86-64 and arm64 objects are alike), but a
        # wheel that installs is a wheel that loads.
        build_data["pure_python"] = False
        build_data["tag"] = (
            f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
        )
