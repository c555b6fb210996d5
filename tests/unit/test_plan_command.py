"""`remainder plan` on the command line: text, page, exit status, and mistakes in one sentence."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from remainder.cli import group, plan_running
from remainder.errors import ConfigError, HostError, RemainderError
from remainder.fleet import member_plan, return_plan
from remainder.plan import make_plan
from remainder.sources.file import load
from tests.fleets import cluster, fleet
from tests.unit.change.test_captures import FRAMES, V4, pcap
from tests.unit.observe.test_agreement import report

EXAMPLES = Path(__file__).parents[2] / "examples"
WEB, GROWING = str(EXAMPLES / "web.toml"), str(EXAMPLES / "growing.toml")


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(group, ["plan", *arguments], input=stdin)


def test_more_than_allowed_exits_with_1_after_the_answer() -> None:
    done = run(WEB, GROWING, "--max-moved", "5%")

    assert isinstance(done.exception, RemainderError)
    assert "moves-too-much" == done.exception.id
    assert str(done.exception).startswith("75 % of the flows would move, more than 5 %")
    assert "75 % of the flows move" in done.stdout


@pytest.mark.parametrize("share", ["75%", "75", "100 %", "75.000001%"])
def test_as_much_as_allowed_exits_with_0(share: str) -> None:
    assert 0 == run(WEB, GROWING, "--max-moved", share).exit_code


@pytest.mark.parametrize("share", ["a lot", "101%", "-5%", ""])
def test_what_is_no_share_is_refused(share: str) -> None:
    done = run(WEB, GROWING, "--max-moved", share)

    assert 2 == done.exit_code
    assert "is not a share; expected 0%–100%, like 5%" in done.output


def test_flows_come_from_stdin_too() -> None:
    line = "ESTAB 0 0 203.0.113.10:80 198.51.100.10:1234\n"
    done = run(WEB, GROWING, "--flows", "-", stdin=line)

    assert "flows: 1 session, 0 move" in done.stdout


def test_a_capture_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    pcap(path, 1, FRAMES)
    done = run(WEB, GROWING, "--capture", str(path))

    assert V4.src_ip.is_global is False
    assert "flows: 1 session, 1 move, 1 break without the second chance, 0 with" in done.stdout


def test_the_page_is_one_file_with_both_tables(tmp_path: Path) -> None:
    path = tmp_path / "plan.html"
    flows = str(EXAMPLES / "flows.csv")
    assert 0 == run(WEB, GROWING, "--html", str(path), "--flows", flows).exit_code
    page = path.read_text(encoding="utf-8")

    assert page.startswith("<!doctype html>")
    assert not re.search(r"<script|src=|href=|url\(|@import", page)
    assert 2 == page.count("<svg")
    assert 7 == len(re.findall(r"<title>slot \d: s\d</title>", page))
    assert {f"s{n} → s4 8.33 %" for n in (1, 2, 3)} <= set(
        re.findall(r"<title>(.*?)</title>", page)
    )
    assert "<td>web<td>s2<td>12<td>20" in page


def test_a_page_of_large_tables_has_no_slots_but_shares(tmp_path: Path) -> None:
    path, old, new = (tmp_path / name for name in ("p.html", "old.toml", "new.toml"))
    old.write_text(Path(WEB).read_text().replace("modulo", "maglev"))
    new.write_text(old.read_text().replace('"192.0.2.13" },', '"192.0.2.13", weight = 2 },'))
    assert 0 == run(str(old), str(new), "--html", str(path)).exit_code
    page = path.read_text(encoding="utf-8")

    assert 1 == page.count("<svg")
    assert "of 65,537 change their owner" in page


@pytest.mark.parametrize(
    ("sentence", "arguments"),
    [
        ("3 files given; expected OLD and NEW, or NEW alone", (WEB, WEB, WEB)),
        ("0 files given; expected OLD and NEW, or NEW alone", ()),
    ],
)
def test_one_or_two_files_are_expected(sentence: str, arguments: tuple[str, ...]) -> None:
    done = run(*arguments)

    assert 2 == done.exit_code
    assert sentence in done.output


@pytest.mark.parametrize(
    ("problem", "content"),
    [
        ("not text; expected CSV, or the output of ss or conntrack -L", b"\xff\xfe\x00"),
        ("unknown column 'sport'", b"src_ip,sport\n"),
    ],
)
def test_wrong_flows_are_one_sentence(problem: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "flows.txt"
    path.write_bytes(content)
    done = run(WEB, GROWING, "--flows", str(path))

    assert isinstance(done.exception, ConfigError)
    assert problem in str(done.exception)


def test_flows_that_are_not_there_are_named(tmp_path: Path) -> None:
    done = run(WEB, GROWING, "--flows", str(tmp_path / "absent.csv"))

    assert "cannot read the file (No such file or directory)" in str(done.exception)


def test_a_capture_without_a_session_of_ours_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    pcap(path, 1, FRAMES[3:4])
    done = run(WEB, GROWING, "--capture", str(path))

    assert "no session with a VIP of either file in it" in str(done.exception)


def test_a_wrong_new_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "new.toml"
    path.write_text("[[service]]\n")
    done = run(WEB, str(path))

    assert isinstance(done.exception, ConfigError)
    assert str(done.exception).startswith(f"{path}:1: service[0]: name is missing")


# -- against what runs ------------------------------------------------------------------


def running(monkeypatch: pytest.MonkeyPatch, *found: dict[str, Any]) -> None:
    monkeypatch.setattr(plan_running, "reports", lambda _: list(found))


def test_a_new_file_alone_is_compared_with_what_runs_here(monkeypatch: pytest.MonkeyPatch) -> None:
    running(monkeypatch, report(make_plan(load(WEB)), "lb1"))
    done = run(GROWING, "--node", "lb1")

    assert 0 == done.exit_code
    assert run(WEB, GROWING).stdout == done.stdout


def test_only_the_roles_that_run_here_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    config = fleet()
    running(
        monkeypatch,
        report(member_plan(config, config.cluster), "r1"),
        report(return_plan(config, config.return_path), "r1"),
    )
    tiers = plan_running.running_tiers("r1", fleet(cluster=[cluster(key="src_ip")]))

    assert [("cluster", "routers"), ("return_path", "back")] == [
        (tier.kind, tier.name) for tier in tiers
    ]
    assert [["routers/ipv4", "routers/ipv6"], ["back/web"]] == [
        [planned.name for planned in tier.plan.choices] for tier in tiers
    ]


def test_where_nothing_runs_the_old_file_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    running(monkeypatch, {"node": "lb1", "role": "balancer", "error": "nothing pinned"})
    done = run(GROWING, "--node", "lb1")

    assert isinstance(done.exception, HostError)
    assert "give the file that runs elsewhere as OLD" in str(done.exception)
