"""The report: quartiles, and no number without its machine."""

from __future__ import annotations

import json

from remainder_bench.cli.bench_page import page
from remainder_bench.machine import Machine
from remainder_bench.report import Report, Row, as_plain, as_text

MACHINE = Machine(
    date="2030-01-02 03:04 UTC",
    cpu="Abacus <3>",
    cpus=2,
    load=0.5,
    kernel="6.18",
    jit="on",
    mitigations=("spectre_v2: Retpolines",),
    mode="test run",
    program="balancer 0123456789ab",
)
GOOD = Row("ack/1M", (4.0, 1.0, 2.0, 3.0, 5.0), (30.0,) * 5, "forwarded", 1000, 120)
BAD = Row("syn/new", (9.0,), (30.0,), "forwarded", 10, 120, fault="the verdict is pass")


def test_quartiles_are_those_of_the_sorted_rounds() -> None:
    assert (2.0, 3.0, 4.0) == GOOD.quartiles
    assert 3.0 == GOOD.median
    assert (9.0, 9.0, 9.0) == BAD.quartiles


def test_the_text_names_the_machine_and_every_row() -> None:
    text = as_text(Report(MACHINE, 5, (GOOD, BAD)))

    for words in ("Abacus <3>", "Retpolines", "6.18", "test run", "2030", "ack/1M", "syn/new"):
        assert words in text


def test_one_round_is_counted_in_the_singular() -> None:
    report = Report(MACHINE, 1, (BAD,))

    for told in (as_text(report), page(report)):
        assert "of 1 round" in told
        assert "1 rounds" not in told


def test_text_and_page_say_how_a_name_is_read() -> None:
    report = Report(MACHINE, 5, (GOOD,))

    for told in (as_text(report), page(report)):
        assert "kind of packet / flows / method / key / services × servers" in told
        assert "reads the headers and decides nothing" in told
        assert "keeps a session table" in told
    assert "<code>parse-only</code>" in page(report)


def test_a_row_that_means_nothing_says_why() -> None:
    report = Report(MACHINE, 5, (GOOD, BAD))

    assert ["syn/new: the verdict is pass"] == report.faults
    assert "the verdict is pass" in as_text(report)
    assert [True, False] == [row["valid"] for row in as_plain(report)["rows"]]


def test_the_plain_report_is_json() -> None:
    plain = json.loads(json.dumps(as_plain(Report(MACHINE, 5, (GOOD,)))))

    assert {"q1": 2.0, "median": 3.0, "q3": 4.0} == plain["rows"][0]["net_ns"]
    assert "Abacus <3>" == plain["machine"]["cpu"]


def test_the_page_stands_alone() -> None:
    text = page(Report(MACHINE, 5, (GOOD, BAD)))

    assert "Abacus &lt;3&gt;" in text
    assert "<script" not in text
    assert "http" not in text
