"""``remainder bench``: the command, with few rounds."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from remainder.errors import Disagreement, HostError
from remainder.kernel import libbpf
from remainder.kernel.dataplane import Dataplane
from remainder_bench import micro
from remainder_bench.cases import Case, subject
from remainder_bench.cli.bench import command

pytestmark = [pytest.mark.bpf, pytest.mark.slow]

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def bench(*arguments: str) -> Result:
    return CliRunner().invoke(command, [*arguments, "--rounds", "1"])


def rows_of(result: Result) -> dict[str, dict[str, Any]]:
    assert result.exception is None

    return {row["name"]: row for row in json.loads(result.stdout)["rows"]}


@pytest.fixture
def loaded() -> Dataplane:
    return micro.load(subject(Case()).plan)


def packet() -> str:
    return subject(Case()).template.frame.hex(":")


def test_a_case_is_timed_beside_the_reference_programs() -> None:
    rows = rows_of(bench("--case", "ack/4k/l2/sum3/1x4", "--json"))

    assert {"parse-only/4k", "remember/1M", "ack/4k/l2/sum3/1x4"} <= set(rows)
    assert all(row["valid"] for row in rows.values())
    assert "forwarded" == rows["ack/4k/l2/sum3/1x4"]["outcome"]


def test_the_reference_programs_can_be_timed_alone() -> None:
    rows = rows_of(bench("--case", "remember/*", "--json"))

    assert {"parse-only", "remember"} == {name.partition("/")[0] for name in rows}


def test_a_file_is_timed_and_drawn(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    rows = rows_of(bench(str(EXAMPLES / "web.toml"), "--json", "--html", str(page)))

    assert "forwarded_error" == rows["icmp/4k/web"]["outcome"]
    assert "not_vip" == rows["foreign/4k/ipv4"]["outcome"]
    assert "icmp/4k/web" in page.read_text(encoding="utf-8")


def test_another_program_is_timed_by_its_number(loaded: Dataplane) -> None:
    rows = rows_of(
        bench("--program", str(loaded.program_id), "--packet", packet(), "--want", "tx", "--json")
    )

    assert {"program/1", "program/4k", "program/1M", "program/new"} <= set(rows)
    assert libbpf.program_size(loaded.program_fd) == rows["program/1"]["instructions"]


def test_another_verdict_than_wanted_is_an_error(loaded: Dataplane) -> None:
    result = bench("--program", str(loaded.program_id), "--packet", packet(), "--want", "drop")

    assert isinstance(result.exception, Disagreement)
    assert "the verdict is tx, expected drop" in str(result.exception)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--program", "1"], "must be given together"),
        (["--program", "1", "--packet", "zz", "--want", "tx"], "not hexadecimal"),
        (["--control", "--all"], "cannot be combined"),
        (["--control", "--wire"], "cannot be combined"),
        (["--control", "--html", "a.html"], "cannot write --html"),
    ],
)
def test_what_does_not_fit_together_is_said(arguments: list[str], why: str) -> None:
    result = bench(*arguments)

    assert 2 == result.exit_code
    assert why in result.output


def test_without_root_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    assert isinstance(bench().exception, HostError)
