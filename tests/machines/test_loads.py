"""Every program loads on every kernel, by every compiler, with every set of features.

A boot per kernel; in it each compiler's objects go through the product's own loading, a
publication and a frame, row by row (inside/matrix.py).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.machines import compilers, kernels, machine
from tests.machines.compilers import COMPILERS
from tests.machines.inside.matrix import rows
from tests.machines.kernels import KERNELS

pytestmark = [pytest.mark.machines, pytest.mark.slow, pytest.mark.timeout(900)]

BOOT_LIMIT_S = 600
TOLD_IN_FULL = 3


@dataclass(frozen=True)
class Loads:
    """What one kernel said of one compiler's objects."""

    where: str
    failed: dict[str, str]
    """row → why"""
    rows: list[str]
    said: str
    """by the process itself: a traceback, if it ended early"""


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of the package for each compiler."""
    folder = tmp_path_factory.mktemp("loads")
    for which in COMPILERS:
        compilers.package_with(folder / which, which)
    return folder


@cache
def loads(jobs: Path, which: str) -> dict[str, Loads]:
    """A kernel's answers, by compiler: one boot, the compilers side by side."""
    kernel = kernels.kernel(which)
    commands = [
        f"PYTHONPATH=/run/job/{compiler}:$PWD .venv/bin/python -m tests.machines.inside.loads "
        f"/run/job/{compiler}.jsonl >/run/job/{compiler}.said 2>&1 &"
        for compiler in COMPILERS
    ]
    for compiler in COMPILERS:
        (jobs / f"{compiler}.jsonl").unlink(missing_ok=True)
    machine.run(kernel, jobs, "\n".join([*commands, "wait"]), limit_s=BOOT_LIMIT_S)
    return {compiler: _read(jobs, compiler, kernel.version) for compiler in COMPILERS}


def _read(jobs: Path, compiler: str, version: str) -> Loads:
    lines = (jobs / f"{compiler}.jsonl").read_text(encoding="utf-8").splitlines()
    answers = [json.loads(line) for line in lines]
    return Loads(
        where=f"Linux {version}, clang {compilers.version(compiler)}",
        failed={answer["row"]: answer["failed"] for answer in answers if answer["failed"]},
        rows=[answer["row"] for answer in answers],
        said=(jobs / f"{compiler}.said").read_text(encoding="utf-8"),
    )


def told(answers: Loads) -> str:
    """Each failed cell; what was said of the first few in full, since the rest say the same."""
    return "\n".join(
        f"{answers.where}: {row}" + (f": {why}" if number < TOLD_IN_FULL else "")
        for number, (row, why) in enumerate(answers.failed.items())
    )


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("kernel", KERNELS)
def test_every_role_loads_with_every_set_of_features(
    jobs: Path, kernel: str, compiler: str
) -> None:
    answers = loads(jobs, kernel)[compiler]

    assert "" == answers.said
    assert not answers.failed, told(answers)
    assert [row.name for row in rows()] == answers.rows


@pytest.mark.parametrize("compiler", COMPILERS)
def test_objects_for_arm64_are_the_same_bytes(jobs: Path, tmp_path: Path, compiler: str) -> None:
    """With the headers of Debian for arm64: what is compiled once runs on both."""
    here = sorted((jobs / compiler / "objects").glob("*/*.bpf.o"))
    there = compilers.compile_into(tmp_path, compiler, architecture="arm64")

    assert [path.name for path in here] == [path.name for path in there]
    assert [] == [
        one.name
        for one, other in zip(here, there, strict=True)
        if one.read_bytes() != other.read_bytes()
    ]
