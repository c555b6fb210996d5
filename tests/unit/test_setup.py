"""What root made is the user's to go on with; what is missing is said."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Final

import pytest

SETUP: Final = Path(__file__).resolve().parents[2] / "scripts" / "setup.sh"
SOMEBODY: Final = 65534

# Every step of the set-up but the one that is asked for.
PREPARE: Final = """
install_packages() { :; }
make_venv() {
    mkdir -p .venv/bin && touch .venv/made-for && ln -sf /bin/sh .venv/bin/python
    for extension in $EXTENSIONS; do touch "$extension"; done
}
compile_bpf() { touch src/remainder/bpf/balancer.bpf.o src/remainder/bpf/objects.json; }
prepare run
"""


EXTENSION: Final = "src/remainder/selection/walk.cpython-311-x86_64-linux-gnu.so"


def bash(script: str, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f". {SETUP}\n{script}"],
        cwd=cwd, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return done.stdout


@pytest.mark.root
@pytest.mark.parametrize("extensions", [[], [EXTENSION]], ids=["uncompiled", "compiled"])
def test_what_root_made_belongs_to_who_owns_the_tree(tmp_path: Path, extensions: list[str]) -> None:
    for room in ("bpf", "selection"):
        (tmp_path / "src" / "remainder" / room).mkdir(parents=True)
    os.chown(tmp_path, SOMEBODY, SOMEBODY)
    bash(PREPARE, tmp_path, EXTENSIONS=" ".join(extensions))
    made = [
        *(tmp_path / ".venv").rglob("*"),
        *(path for kind in ("*.o", "*.so", "*.json") for path in tmp_path.rglob(kind)),
    ]

    assert 5 + len(extensions) == len(made)
    assert {SOMEBODY} == {path.lstat().st_uid for path in made}
    assert 0 == Path("/bin/sh").stat().st_uid


@pytest.mark.root
@pytest.mark.parametrize(
    ("what", "required", "cost"),
    [
        ("run", "1", "runs uncompiled, only slower\n"),
        ("test", "0", "runs uncompiled, only slower\n"),
        ("test", "1", "runs uncompiled, slower, and its tests fail; set REMAINDER_REQUIRE_ALL=0 "),
        ("test", "", "runs uncompiled, slower, and its tests fail; set REMAINDER_REQUIRE_ALL=0 "),
    ],
)
def test_where_headers_cannot_be_had_it_says_what_that_costs(
    tmp_path: Path, what: str, required: str, cost: str
) -> None:
    """As root ./test takes no skip, unless it is told to."""
    said = bash(
        f"headers() {{ echo {tmp_path}/Python.h; }}\nwant_headers {what}", tmp_path,
        REMAINDER_REQUIRE_ALL=required,
    )  # fmt: skip

    assert f"{tmp_path}/Python.h is missing (libpython3-dev), so the loop" in said
    assert cost in said
