"""On each kernel, before a release: model and programs agree, and roles live.

What runs in the guests are this tree's own tests; what its scenes do there is in test_stock.py.
"""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from tests.machines import kernels, machine, report
from tests.machines.kernels import KERNELS

pytestmark = [
    pytest.mark.machines, pytest.mark.release, pytest.mark.slow, pytest.mark.timeout(3600),
]  # fmt: skip

BOOT_LIMIT_S = 3500

_BALANCER = "tests/lab/test_balancer_life.py"
_MEMBER = "tests/lab/cluster/test_changes.py"
_SENDER = "tests/lab/return_path/test_changes.py"
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
    "sender": [
        f"{_SENDER}::test_the_way_back_outlives_its_process",
        f"{_SENDER}::test_keep_leaves_the_choice_in_place_and_detach_takes_it_away",
        f"{_SENDER}::test_servers_follow_a_router_to_another_mac",
    ],
}
"""Role → tests that attach, publish, kill -9, adopt and detach it."""


def ran(job: Path, which: str, command: str) -> tuple[int, str]:
    """(status, words) of a command on a kernel."""
    done = machine.run(kernels.kernel(which), job, command, limit_s=BOOT_LIMIT_S)
    return done.status, done.output


@pytest.mark.parametrize("kernel", KERNELS)
def test_kernel_and_model_agree(tmp_path: Path, kernel: str) -> None:
    command = ".venv/bin/python -m tests.machines.inside.agreement /run/job/agreement.json"

    assert (0, "") == ran(tmp_path, kernel, command)
    answer = json.loads((tmp_path / "agreement.json").read_text(encoding="utf-8"))
    compared = sum(answer["compared"].values())
    found = f"{len(answer['differ'])} of {compared:,}"
    report.note(report.AGREEMENT, kernels.kernel(kernel), found)

    assert not answer["differ"], "\n".join(answer["differ"][:5])
    assert {"balancer", "member", "sender"} == set(answer["compared"])
    assert min(answer["compared"].values()) >= 900


@pytest.mark.parametrize("kernel", KERNELS)
def test_each_role_attaches_publishes_is_killed_adopted_and_detached(
    tmp_path: Path, kernel: str
) -> None:
    tests = [test for role in LIFE.values() for test in role]
    words = shlex.join(["pytest", "-q", "-rA", "-p", "no:cacheprovider", *tests])
    status, said = ran(tmp_path, kernel, f".venv/bin/python -m {words}")
    passed = set(re.findall(r"^PASSED (\S+)", said, re.MULTILINE))
    for role, wanted in LIFE.items():
        found = f"{len(passed & set(wanted))} of {len(wanted)} tests"
        report.note(f"life of a {role}", kernels.kernel(kernel), found)

    assert status == 0, said[-4000:]
    assert set(tests) == passed
