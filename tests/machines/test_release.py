"""On each kernel, before a release: model and programs agree, roles live, scenes play.

A boot per kernel; what runs in it are this tree's own tests and scenes.
"""

from __future__ import annotations

import json
import re
import shlex
from functools import cache
from pathlib import Path

import pytest

from tests.machines import kernels, machine, report
from tests.machines.kernels import KERNELS

pytestmark = [
    pytest.mark.machines, pytest.mark.release, pytest.mark.slow, pytest.mark.timeout(7200),
]  # fmt: skip

BOOT_LIMIT_S = 7000

_BALANCER = "tests/lab/test_balancer_life.py"
_MEMBER = "tests/lab/cluster/test_changes.py"
_SERVER = "tests/lab/return_path/test_changes.py"
_LOST = "test_nothing_is_lost_while_tables_are_published_and_the_process_is_killed"
_SHARE = "test_a_member_that_joins_a_stable_table_takes_its_share_and_no_more"

LIFE = {
    "balancer": [
        f"tests/lab/test_balancer.py::{_LOST}",
        f"{_BALANCER}::test_a_stopped_balancer_leaves_nothing_behind",
        f"{_BALANCER}::test_kept_data_planes_go_on_until_they_are_detached",
    ],
    "member": [
        f"{_MEMBER}::test_the_data_plane_of_a_member_outlives_its_process",
        f"{_MEMBER}::test_a_member_that_was_stopped_answers_nothing",
        f"{_MEMBER}::{_SHARE}",
    ],
    "server": [
        f"{_SERVER}::test_the_way_back_outlives_its_process",
        f"{_SERVER}::test_keep_leaves_the_choice_in_place_and_detach_takes_it_away",
        f"{_SERVER}::test_servers_follow_a_router_to_another_mac",
    ],
}
"""Role → tests that attach, publish, kill -9, adopt and detach it."""

SCENES = ("one-service", "standby-pair", "ecmp", "cluster", "return-path", "whole-fleet")


def commands() -> dict[str, str]:
    """What runs in a guest, by the name of the file that it writes."""
    pytest_here = ".venv/bin/python -m pytest -q -p no:cacheprovider"
    return {
        "agreement": ".venv/bin/python -m tests.machines.inside.agreement /run/job/agreement.json",
        **{f"life-{role}": f"{pytest_here} {shlex.join(tests)}" for role, tests in LIFE.items()},
        **{
            f"scene-{scene}": f".venv/bin/remainder demo {scene} --html /tmp/demo.html"
            for scene in SCENES
        },
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("release")


@cache
def booted(folder: Path, which: str) -> dict[str, tuple[int, str]]:
    """What ran on a kernel: its name → (status, what it said)."""
    job = folder / which
    job.mkdir()
    script = "\n".join(
        f"timeout 1800 {command} >/run/job/{name}.said 2>&1; echo $? >/run/job/{name}.status"
        for name, command in commands().items()
    )
    machine.run(kernels.kernel(which), job, script, limit_s=BOOT_LIMIT_S)
    return {
        name: (int((job / f"{name}.status").read_text()), (job / f"{name}.said").read_text())
        for name in commands()
    }


@pytest.mark.parametrize("kernel", KERNELS)
def test_kernel_and_model_agree(folder: Path, kernel: str) -> None:
    status, said = booted(folder, kernel)["agreement"]
    assert (0, "") == (status, said)
    answer = json.loads((folder / kernel / "agreement.json").read_text(encoding="utf-8"))
    compared = sum(answer["compared"].values())
    report.note("agreement", kernels.kernel(kernel), f"{len(answer['differ'])} of {compared:,}")

    assert not answer["differ"], "\n".join(answer["differ"][:5])
    assert {"balancer", "member", "server"} == set(answer["compared"])
    assert min(answer["compared"].values()) >= 900


@pytest.mark.parametrize("role", LIFE)
@pytest.mark.parametrize("kernel", KERNELS)
def test_a_role_attaches_publishes_is_killed_adopted_and_detached(
    folder: Path, kernel: str, role: str
) -> None:
    status, said = booted(folder, kernel)[f"life-{role}"]
    passed = re.search(r"(\d+) passed", said)
    number = int(passed[1]) if passed else 0
    report.note(f"life of a {role}", kernels.kernel(kernel), f"{number} of {len(LIFE[role])} tests")

    assert status == 0, said[-4000:]
    assert len(LIFE[role]) == number


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("kernel", KERNELS)
def test_a_scene_plays(folder: Path, kernel: str, scene: str) -> None:
    status, said = booted(folder, kernel)[f"scene-{scene}"]
    bad = re.findall(r"^.*✗.*$", said, re.MULTILINE)
    report.note(f"scene {scene}", kernels.kernel(kernel), "plays" if status == 0 else "fails")

    assert status == 0, said[-4000:]
    assert [] == bad
