"""Debian for arm64, as far as the programs need one: its kernel, Python and libbpf.

Its packages are unpacked, not configured, since nothing of another processor runs here; nor is
anything compiled: the objects are those of this tree, as they are shipped.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Final

from tests.machines import packages
from tests.machines.machine import ROOT, Root
from tests.machines.packages import TRIXIE, PackageError, Wanted

_PACKAGES: Final = (
    "python3", "libbpf1", "libstdc++6", "busybox-static", "kmod", "dash", "coreutils", "mount",
)  # fmt: skip
_HOME: Final = "opt/remainder"
_SITE: Final = "opt/site"
ENVIRONMENT: Final = f"PYTHONPATH=/{_HOME}/src:/{_HOME}:/{_SITE}"


def root() -> Root:
    """The files of a guest, with this tree as it is now."""
    wanted = Wanted(
        replace(TRIXIE, architecture="arm64"),
        _PACKAGES,
        leave=["./usr/share/doc", "./usr/share/locale"],
    )
    tree = packages.unpacked("debian-arm64", lambda: wanted)
    for folder in ("dev", "proc", "sys", "tmp", "run", "root", "opt"):
        (tree / folder).mkdir(parents=True, exist_ok=True)
    if not (tree / _SITE).exists():
        _install_python_packages(tree)
    home = tree / _HOME
    if home.exists():
        shutil.rmtree(home)
    for part in ("src/remainder", "tests"):
        shutil.copytree(
            ROOT / part,
            home / part,
            ignore=shutil.ignore_patterns("__pycache__", "*.so", ".hypothesis"),
        )
    version = next(tree.glob("usr/bin/python3.[0-9][0-9]")).name.removeprefix("python3.")
    if version == str(sys.version_info.minor):  # else its own first look at a module compiles it
        subprocess.run((sys.executable, "-m", "compileall", "-q", str(home)), check=False)
    return Root(tree, home=Path("/", _HOME))


def _install_python_packages(tree: Path) -> None:
    """What the product needs, and what makes frames for the tests."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    made = [
        name
        for name in project["optional-dependencies"]["test"]
        if name.startswith(("hypothesis", "pytest>"))
    ]
    python = next(tree.glob("usr/bin/python3.[0-9][0-9]")).name.removeprefix("python")
    new = tree / "opt" / "site.new"
    platforms = [f"--platform=manylinux_2_{minor}_aarch64" for minor in (17, 24, 26, 27, 28, 31)]
    run = subprocess.run(
        (
            sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check",
            "--no-compile", "--only-binary=:all:", "--target", str(new), "--upgrade",
            "--python-version", python, "--implementation", "cp", *platforms,
            "--platform=manylinux2014_aarch64", *project["dependencies"], *made,
        ),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if run.returncode != 0:
        raise PackageError(f"packages of Python for arm64 are not to be had: {run.stderr[-1000:]}")
    new.rename(tree / _SITE)
