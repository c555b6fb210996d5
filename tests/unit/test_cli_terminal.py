"""What files, directories and other programs call themselves reaches a terminal as plain text."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from remainder.cli import main
from remainder.cli import run as run_command
from remainder.diagnose.probe import Finding
from remainder.errors import HostError
from remainder_lab.running import ProcessError
from tests.unit.test_cli import FLEET, run
from tests.unit.test_status_view import report as status_report

ESCAPE = "x\x1b[2K\rlb2 agrees"
SHOWN = r"x\x1b[2K\rlb2 agrees"


def test_a_sentence_on_stderr_has_no_escape_sequence_of_a_files_name(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "remainder", "check", str(tmp_path / ESCAPE)],
        capture_output=True,
        check=False,
    )

    assert SHOWN in done.stderr.decode()
    assert b"\x1b" not in done.stderr


def test_an_error_is_one_line_unless_a_process_is_quoted_below_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["remainder", "status"])
    for kind in (HostError, ProcessError):

        def fail(_: object, kind: type[HostError] = kind) -> None:
            raise kind("ended; it said:\n  \x1b[2Kall is well")

        monkeypatch.setattr("remainder.cli.status.reports", fail)
        with pytest.raises(SystemExit):
            main()

    assert [
        r"remainder: ended; it said:\n  \x1b[2Kall is well",
        "remainder: ended; it said:",
        r"  \x1b[2Kall is well",
    ] == capsys.readouterr().err.splitlines()


def test_a_running_node_says_and_warns_in_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    run_command._say(ESCAPE)
    run_command._warn(ESCAPE)
    said = capsys.readouterr()

    assert f"{SHOWN}\n" == said.out
    assert f"warning: {SHOWN}\n" == said.err


def test_what_the_host_says_in_check_is_plain_text(monkeypatch: pytest.MonkeyPatch) -> None:
    finding = Finding("x", met=False, detail=f"{ESCAPE}\nok")
    monkeypatch.setattr("remainder.diagnose.probe.probe_host", lambda _: [])
    monkeypatch.setattr("remainder.diagnose.probe.probe", lambda *_: [finding])
    output = run("check", str(FLEET), "--node", "lb1").output

    assert rf"  NO  x: {SHOWN}\nok" in output.splitlines()


@pytest.mark.parametrize("field", ["node", "interface", "mode"])
def test_what_notes_hold_is_plain_text_in_status(
    monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    noted: dict[str, Any] = status_report() | {field: ESCAPE}
    monkeypatch.setattr("remainder.cli.status.reports", lambda _: [noted])
    output = run("status").output

    assert SHOWN in output
    assert "\x1b" not in output
