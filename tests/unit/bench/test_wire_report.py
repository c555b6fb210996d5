"""What went through the wire: rates out of times, and shares of the first in the same rounds."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from remainder_bench.cli.bench_page import wire_page
from remainder_bench.machine import Machine
from remainder_bench.wire_report import (
    Connections,
    Speed,
    WireReport,
    as_plain,
    as_text,
    extra,
    share,
)

MACHINE = Machine("today", "a CPU", 2, 0.5, "6.18", "on", (), "veth", "balancer")

FIRST = Speed("XDP, only return", (200.0, 100.0, 400.0), 0)
OURS = Speed("remainder, sum", (250.0, 125.0, 500.0), 0)
LOSING = Speed("other", (1000.0,) * 3, 7)

DIRECT = Connections(
    name="no balancer", us=(80.0, 60.0, 70.0), failed=0, packets=0.0, idle=0.0
)  # fmt: skip
THROUGH_US = Connections(
    name="remainder, sum", us=(96.0, 72.0, 84.0), failed=0, packets=5.0, idle=0.01
)
HAPROXY = Connections(
    name="HAProxy, TCP mode", us=(160.0, 120.0, 140.0), failed=0, packets=9.2, idle=0.0
)


def report(*speeds: Speed, connections: tuple[Connections, ...] = ()) -> WireReport:
    return WireReport(MACHINE, speeds, connections)


def test_a_packet_every_200_ns_is_5_million_a_second() -> None:
    assert 5.0 == FIRST.mpps
    assert (2.5, 10.0) == FIRST.spread


def test_a_connection_every_80_us_is_12500_a_second() -> None:
    assert 12_500.0 == replace(DIRECT, us=(80.0,)).per_second
    assert (12_500.0, 1e6 / 60) == DIRECT.spread


def test_shares_and_differences_are_of_the_same_round() -> None:
    """Whatever else ran during a round, it slowed both."""
    assert pytest.approx(0.8) == share(OURS.ns, FIRST.ns)
    assert pytest.approx(1 / 1.2) == share(THROUGH_US.us, DIRECT.us)
    assert pytest.approx(14.0) == extra(THROUGH_US.us, DIRECT.us)


def test_lost_packets_are_a_fault() -> None:
    assert ["other: 7 packets were lost"] == report(FIRST, LOSING).faults
    assert [] == report(FIRST, OURS, connections=(DIRECT, THROUGH_US, HAPROXY)).faults


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        (replace(HAPROXY, failed=1200, packets=0.0), "1,200 connections got no answer"),
        (replace(HAPROXY, packets=0.0), "the balancer received 0.0 packets per connection"),
        (replace(HAPROXY, idle=0.5), "the CPU was idle 50% of the time"),
    ],
)
def test_a_connection_that_was_not_what_it_should_be_is_a_fault(
    wrong: Connections, fault: str
) -> None:
    faults = report(FIRST, connections=(DIRECT, THROUGH_US, wrong)).faults

    assert [f"HAProxy, TCP mode: {fault}"] == faults


def test_without_a_balancer_nothing_goes_through_it() -> None:
    passing = replace(DIRECT, packets=5.0)

    assert ["no balancer: the balancer received 5.0 packets per connection"] == report(
        FIRST, connections=(passing, HAPROXY)
    ).faults


def test_a_data_plane_has_one_row_for_both() -> None:
    told = report(FIRST, OURS, connections=(DIRECT, THROUGH_US, HAPROXY))

    assert {
        "no balancer": (None, DIRECT),
        "XDP, only return": (FIRST, None),
        "remainder, sum": (OURS, THROUGH_US),
        "HAProxy, TCP mode": (None, HAPROXY),
    } == told.rows
    assert "no balancer" == next(iter(told.rows))


TABLE = """\
data plane          Mpps     spread  of first  conn/s         spread  of first  extra us  packets
no balancer            -          -         -  14,286  12,500-16,667      1.00         -      0.0
XDP, only return   5.000  2.50-10.00      1.00       -              -         -         -        -
remainder, sum     4.000  2.00-8.00      0.80  11,905  10,417-13,889      0.83      14.0      5.0
HAProxy, TCP mode      -          -         -   7,143    6,250-8,333      0.50      70.0      9.2
"""


def test_the_table_has_a_dash_where_there_is_only_one_of_both() -> None:
    told = as_text(report(FIRST, OURS, connections=(DIRECT, THROUGH_US, HAPROXY)))

    assert TABLE in told


def test_what_was_left_out_is_told() -> None:
    told = replace(report(FIRST, OURS, connections=(DIRECT,)), notes=("haproxy is missing",))

    assert as_text(told).endswith("\nhaproxy is missing")
    assert ["haproxy is missing"] == as_plain(told)["notes"]
    assert "haproxy is missing." in wire_page(told)


def test_text_json_and_page_say_the_same() -> None:
    told = report(FIRST, OURS, LOSING, connections=(DIRECT, THROUGH_US))
    plain = json.loads(json.dumps(as_plain(told)))

    assert "4.000" in as_text(told)
    assert 4.0 == plain["speeds"][1]["mpps"]
    assert "4.00</text>" in wire_page(told)

    assert "11,905" in as_text(told)
    assert 14.0 == plain["connections"][1]["extra_us"]
    assert "11,905  +14.0 us</text>" in wire_page(told)

    assert "<script" not in wire_page(told)


def test_packets_alone_are_a_report_too() -> None:
    assert "conn/s:" not in as_text(report(FIRST, OURS))
    assert "4.00</text>" in wire_page(report(FIRST, OURS))
