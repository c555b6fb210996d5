"""``sudo ./demo`` and then ``./test``: what root made is the user's to go on with."""

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
make_venv() { mkdir -p .venv/bin && touch .venv/made-for && ln -sf /bin/sh .venv/bin/python; }
compile_bpf() { touch src/remainder/bpf/balancer.bpf.o; }
prepare run
"""


@pytest.mark.root
def test_what_root_made_belongs_to_who_owns_the_tree(tmp_path: Path) -> None:
    (tmp_path / "src" / "remainder" / "bpf").mkdir(parents=True)
    os.chown(tmp_path, SOMEBODY, SOMEBODY)
    subprocess.run(["bash", "-euc", f". {SETUP}\n{PREPARE}"], cwd=tmp_path, check=True)
    made = [*(tmp_path / ".venv").rglob("*"), *tmp_path.rglob("*.o")]

    assert 4 == len(made)
    assert {SOMEBODY} == {path.lstat().st_uid for path in made}
    assert 0 == Path("/bin/sh").stat().st_uid
