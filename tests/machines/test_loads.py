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

from tests.machines import compilers, kernels, machine, report
from tests.machines.compilers import COMPILERS
from tests.machines.inside.matrix import rows
from tests.machines.kernels import KERNELS

pytestmark = [pytest.mark.machines, pytest.mark.slow, pytest.mark.timeout(900)]

BOOT_LIMIT_S = 600
TOLD_IN_FULL = 3
UNBOUNDED = "unbounded"
BOUND = "\tkeep(options);\n\toptions &= IP_OPTIONS_MASK;\n"


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
    compilers.package_with(folder / UNBOUNDED, "newest", change=unbound)
    return folder


def unbound(sources: Path) -> None:
    """Take away what bounds the length of IPv4 options to the verifier."""
    header = sources / "parse.h"
    text = header.read_text(encoding="utf-8")
    assert 1 == text.count(BOUND)
    header.write_text(text.replace(BOUND, ""), encoding="utf-8")


@cache
def loads(jobs: Path, which: str) -> dict[str, Loads]:
    """A kernel's answers, by compiler: one boot, the compilers side by side."""
    kernel = kernels.kernel(which)
    packages = (*COMPILERS, UNBOUNDED)
    commands = [
        f"PYTHONPATH=/run/job/{compiler}:$PWD .venv/bin/python -m tests.machines.inside.loads "
        f"/run/job/{compiler}.jsonl >/run/job/{compiler}.said 2>&1 &"
        for compiler in packages
    ]
    for compiler in packages:
        (jobs / f"{compiler}.jsonl").unlink(missing_ok=True)
    machine.run(kernel, jobs, "\n".join([*commands, "wait"]), limit_s=BOOT_LIMIT_S)
    return {package: _read(jobs, package, kernel.version) for package in packages}


def _read(jobs: Path, package: str, version: str) -> Loads:
    lines = (jobs / f"{package}.jsonl").read_text(encoding="utf-8").splitlines()
    answers = [json.loads(line) for line in lines]
    compiler = package if package in COMPILERS else "newest"
    return Loads(
        where=f"Linux {version}, clang {compilers.version(compiler)}",
        failed={answer["row"]: answer["failed"] for answer in answers if answer["failed"]},
        rows=[answer["row"] for answer in answers],
        said=(jobs / f"{package}.said").read_text(encoding="utf-8"),
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
    loaded = f"{len(answers.rows) - len(answers.failed)} of {len(answers.rows)}"
    question = f"{report.LOADS}, clang {compilers.version(compiler)}"
    report.note(question, kernels.kernel(kernel), loaded)

    assert "" == answers.said
    assert not answers.failed, told(answers)
    assert [row.name for row in rows()] == answers.rows


def test_a_length_without_a_bound_is_rejected_and_seen_here(jobs: Path) -> None:
    """The fault that clang 18 and later brought: without the bound no IPv4 program loads."""
    answers = loads(jobs, "stable")[UNBOUNDED]

    assert [row.name for row in rows() if not row.features.startswith("IPv6,")] == [*answers.failed]
    assert all("verifier" in why for why in answers.failed.values())


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
