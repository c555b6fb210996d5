"""What is told of a flood: shares, quantiles, and when the numbers mean nothing."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from remainder_bench.cli.flood_page import page
from remainder_bench.flood_report import (
    FloodReport,
    Level,
    Memory,
    as_plain,
    as_text,
    quantile_ms,
)
from remainder_bench.machine import this_machine

LETTER = 7.5
"""how wide a letter of the picture is at most; its fonts have 0.6 of 12 units"""

OURS = Memory(
    process_kib=1024, maps_bytes=1 << 20, sessions=0, most_sessions=1000, session_bytes=256
)
EMPTY = Memory(process_kib=0, maps_bytes=0, sessions=0, most_sessions=1000, session_bytes=256)
FULL = replace(EMPTY, sessions=8192)

GOOD = Level(
    plane="remainder",
    per_s=400_000,
    sent=400_000,
    sent_per_s=399_000.0,
    forwarded=399_000,
    sessions=50,
    lost=0,
    requests_us=tuple(range(1, 101)),
    attempted=200,
    wanted=200,
    served_us=(500,) * 190,
    busy=0.4,
    waited=0.001,
    before=OURS,
    after=OURS,
)
OTHER = replace(
    GOOD,
    plane="other",
    per_s=0,
    sent=0,
    sent_per_s=0.0,
    served_us=(500,) * 200,
    before=EMPTY,
    after=FULL,
)


def report(*levels: Level) -> FloodReport:
    return FloodReport(this_machine("switch"), 1.0, levels)


def test_no_word_of_the_picture_is_cut_at_its_edge() -> None:
    most = replace(
        OTHER,
        plane="nftables, DNAT with conntrack",
        requests_us=(2_999_990,) * 200,
        lost=50,
        after=replace(FULL, sessions=262_144),
    )
    text = page(report(most))
    (wide,) = {int(number) for number in re.findall(r'viewBox="0 0 (\d+) ', text)}
    words = re.findall(r'<text[^>]* x="([\d.]+)"[^>]*>([^<]*)<', text)

    assert any("262,144 remembered" in said for _, said in words)
    assert not [said for x, said in words if float(x) + LETTER * len(said) > wide]


def test_shares_are_of_what_was_tried_and_sent() -> None:
    assert 0.95 == GOOD.served
    assert 0.9975 == GOOD.passed


def test_where_nothing_was_sent_nothing_was_lost() -> None:
    assert 1.0 == OTHER.passed


def test_who_tried_nothing_was_not_served() -> None:
    assert 0.0 == replace(GOOD, attempted=0, served_us=()).served


@pytest.mark.parametrize(("share", "expected"), [(0.5, 0.05), (0.99, 0.099), (1, 0.1), (0, 0.001)])
def test_a_quantile_is_one_of_the_answers(share: float, expected: float) -> None:
    """Nearest rank: so large a share took at most this."""
    assert expected == quantile_ms(GOOD.requests_us, share)


def test_without_answers_there_is_no_quantile() -> None:
    assert quantile_ms((), 0.99) is None


def test_memory_is_process_maps_and_remembered_sessions() -> None:
    assert 2 << 20 == OURS.bytes
    assert 2 << 20 == FULL.bytes


def test_a_good_level_has_no_fault() -> None:
    assert [] == report(GOOD, OTHER).faults


@pytest.mark.parametrize(
    ("level", "fault"),
    [
        (replace(GOOD, sent_per_s=300_000.0), "only 300,000 SYNs per second were sent"),
        (replace(GOOD, waited=0.03), "other work took the balancer's CPU for 3.0% of the time"),
        (replace(GOOD, attempted=100), "the clients attempted only 100 of 200 connections"),
        (replace(OTHER, lost=1), "without a flood: 1 sessions lost"),
        (replace(OTHER, served_us=(500,) * 100), "50% of new connections served"),
    ],
)
def test_what_makes_a_level_mean_nothing_is_a_fault(level: Level, fault: str) -> None:
    (found,) = report(level).faults

    assert fault in found


def test_what_a_flood_does_to_clients_is_no_fault() -> None:
    """That is what is measured."""
    assert [] == replace(GOOD, lost=50, served_us=(), requests_us=(), forwarded=1).faults


def test_a_full_cpu_waits_for_its_own_sake() -> None:
    assert not replace(GOOD, waited=0.05, busy=0.94).disturbed


def test_text_json_and_page_say_the_same() -> None:
    told = report(GOOD, OTHER)
    plain = json.loads(json.dumps(as_plain(told)))

    assert ["remainder", "other"] == [level["plane"] for level in plain["levels"]]
    assert 0.099 == plain["levels"][0]["open_sessions"]["p99_ms"]
    assert 8192 == plain["levels"][1]["after"]["sessions"]
    assert "99.8%" in as_text(told)
    assert "0.0 → 2.0" in as_text(told)
    assert "95.0% · answers p99 0.10 ms · 0 sessions lost · 0 remembered" in page(told)
    assert "No flood" in page(told)
    assert "<script" not in page(told)


def test_where_nobody_was_answered_there_is_a_dash() -> None:
    told = report(replace(GOOD, requests_us=(), served_us=()))

    assert "–" in as_text(told)
    assert "no answers" in page(told)
