"""All data planes are told of the same servers."""

from __future__ import annotations

import pytest

from remainder.errors import HostError
from remainder.plan import make_plan
from remainder.sources.file import loads
from remainder_bench.flood_bed import (
    ADDRESSES,
    CONNTRACK,
    FILE,
    PLANES,
    PORT,
    STATELESS,
    VIP,
    need_tools,
    queue_of,
)
from remainder_lab import tools

SERVERS = [ADDRESSES["s1"], ADDRESSES["s2"]]


def test_the_file_is_valid_and_names_them() -> None:
    plan = make_plan(loads(FILE))

    assert SERVERS == [str(address) for _, _, address in plan.reached]


@pytest.mark.parametrize("rules", [STATELESS, CONNTRACK])
def test_the_rules_name_them_too(rules: str) -> None:
    assert all(address in rules for address in SERVERS)
    assert f"ip daddr {VIP} tcp dport {PORT} " in rules
    assert rules.count("{") == rules.count("}")


def test_ours_stands_first() -> None:
    assert "remainder" == next(iter(PLANES))


def test_a_missing_tool_is_told_before_anything_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "path_of", lambda _: None)
    need_tools(["remainder"])

    with pytest.raises(HostError, match="apt-get install nftables"):
        need_tools(PLANES)


@pytest.mark.parametrize("process_id", [1, 4_194_304])
def test_the_thread_of_the_queue_is_known_by_a_name_of_its_own(process_id: int) -> None:
    """Fifteen characters of ``napi/INTERFACE-NUMBER`` are left by Linux before 5.17."""
    start = f"napi/{queue_of(process_id)}-"

    assert len(start) < 15
    assert queue_of(process_id) != queue_of(process_id * 10)
