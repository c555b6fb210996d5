"""``remainder agree`` says yes only of what it has compared, whatever it is given to read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from remainder.errors import ConfigError, Disagreement, HostError
from remainder.observe import state
from remainder.plan import make_plan
from remainder.sources.file import load
from tests.unit.observe.test_agreement import report
from tests.unit.observe.test_state import noted
from tests.unit.observe.test_told import status
from tests.unit.test_cli import FLEET, run

LOST: Final = {"node": "lb2", "role": "balancer", "error": "no data plane", "id": None}


def saved(folder: Path, content: Any) -> str:
    path = folder / "status.json"
    path.write_text(json.dumps(content))
    return str(path)


def lb1(**changed: Any) -> dict[str, Any]:
    return report(make_plan(load(FLEET)), "lb1") | changed


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_where_nothing_is_reported_nothing_agrees(tmp_path: Path, options: tuple[str, ...]) -> None:
    result = run("agree", str(FLEET), saved(tmp_path, status()), *options)

    assert isinstance(result.exception, ConfigError)
    assert "nothing to compare: no node is reported" in str(result.exception)
    assert '"agree"' not in result.stdout


def test_where_the_only_node_could_not_be_read_nothing_agrees(tmp_path: Path) -> None:
    result = run("agree", str(FLEET), saved(tmp_path, status(unreadable=[LOST])))

    assert isinstance(result.exception, HostError)
    assert "nothing was compared: lb2 (balancer): no data plane" == str(result.exception)
    assert "nodes-not-compared" == result.exception.id


def test_broken_notes_of_the_only_node_here_are_no_agreement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "RUN", tmp_path / "run")
    state.write(noted("lb1"))
    state.path_of("lb1", "balancer").write_text('{"half": ')
    result = run("agree", str(FLEET))

    assert isinstance(result.exception, HostError)
    assert "nothing was compared: lb1 (balancer): " in str(result.exception)
    assert "not a state file of this version" in str(result.exception)


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_node_that_could_not_be_read_beside_one_that_agrees_is_no_agreement(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    result = run("agree", str(FLEET), saved(tmp_path, status(lb1(), unreadable=[LOST])), *options)

    assert isinstance(result.exception, Disagreement)
    assert "nodes-not-compared" == result.exception.id
    if options:
        told = json.loads(result.stdout)

        assert not told["agree"]
        assert [LOST] == told["unreadable"]
        assert [True] == [node["agrees"] for node in told["nodes"]]


def test_a_node_whose_program_is_detached_does_not_agree(tmp_path: Path) -> None:
    """Its tables are right, and no packet meets them."""
    result = run("agree", str(FLEET), saved(tmp_path, status(lb1(attached=False))))

    assert isinstance(result.exception, HostError)
    assert "lb1 (balancer): its data plane is not attached" in str(result.exception)


def test_a_node_that_is_left_out_by_name_need_not_be_readable(tmp_path: Path) -> None:
    path = saved(tmp_path, status(lb1(), unreadable=[LOST]))

    assert 0 == run("agree", str(FLEET), path, "--nodes", "lb1").exit_code
    assert "nothing was compared: lb2" in str(
        run("agree", str(FLEET), path, "--nodes", "lb2").exception
    )
    assert "reports are from lb1, lb2" in str(
        run("agree", str(FLEET), path, "--nodes", "lb3").exception
    )


@pytest.mark.parametrize(
    "content",
    [status(lb1(role="wizard")), status(lb1(node="x\x1b[2K\rlb2  agrees")), status({"node": "x"})],
    ids=["role", "node", "fields"],
)
def test_a_hostile_report_gets_one_sentence_without_its_escape_sequences(
    tmp_path: Path, content: Any
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "remainder", "agree", str(FLEET), saved(tmp_path, content)],
        capture_output=True,
        check=False,
        text=True,
    )

    assert (2, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith("remainder: ")
    assert 1 == done.stderr.count("\n")
    assert done.stderr.rstrip("\n").isprintable()
    assert "agrees" not in done.stderr


def test_a_report_that_cannot_be_read_gets_one_sentence(tmp_path: Path) -> None:
    for path, said in ((tmp_path, "Is a directory"), (tmp_path / "absent", "No such file")):
        assert said in str(run("agree", str(FLEET), str(path)).exception)
