"""What went through the wire: rates out of times, and shares of the first in the same rounds."""

from __future__ import annotations

import json

import pytest

from remainder.bench.machine import this_machine
from remainder.bench.wire_report import Speed, WireReport, as_plain, as_text, share
from remainder.cli.bench_page import wire_page

FIRST = Speed("XDP, only return", (200.0, 100.0, 400.0), 0)
OURS = Speed("remainder, sum", (250.0, 125.0, 500.0), 0)
LOSING = Speed("other", (1000.0,) * 3, 7)


def report(*speeds: Speed) -> WireReport:
    return WireReport(this_machine("veth"), speeds)


def test_a_packet_every_200_ns_is_5_million_a_second() -> None:
    assert 5.0 == FIRST.mpps
    assert (2.5, 10.0) == FIRST.spread


def test_shares_are_of_the_same_round() -> None:
    """Whatever else ran during a round, it slowed both."""
    assert pytest.approx(0.8) == share(OURS, FIRST)


def test_lost_packets_are_a_fault() -> None:
    assert ["other: 7 packets were lost"] == report(FIRST, LOSING).faults
    assert [] == report(FIRST, OURS).faults


def test_text_json_and_page_say_the_same() -> None:
    told = report(FIRST, OURS, LOSING)

    assert "4.000" in as_text(told)
    assert 4.0 == json.loads(json.dumps(as_plain(told)))["speeds"][1]["mpps"]
    assert "4.00</text>" in wire_page(told)
    assert "<script" not in wire_page(told)
