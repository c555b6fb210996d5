"""The commands that look, as a user calls them; those on the pages run in tests/docs."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from remainder.cli import CHANGE, LOOK, group, main
from remainder.cli.options import sudo
from remainder.diagnose.probe import Finding
from remainder.errors import ConfigError, Disagreement, HostError
from remainder.fleet import member_plan
from remainder.observe import state
from remainder.plan import make_plan
from remainder.sources.file import load
from tests.unit.observe.test_agreement import report
from tests.unit.test_status_view import report as status_report

DUAL_STACK = Path(__file__).parents[2] / "examples" / "dual-stack.toml"
FLEET = Path(__file__).parents[1] / "golden" / "fleet.toml"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(group, list(arguments))


def saved(tmp_path: Path, *reports: dict[str, object]) -> str:
    path = tmp_path / "status.json"
    path.write_text(json.dumps({"version": 1, "nodes": reports}))
    return str(path)


@pytest.mark.parametrize("name", [*LOOK, *CHANGE])
def test_every_command_has_help(name: str) -> None:
    result = run(name, "--help")

    assert 0 == result.exit_code
    assert result.output.startswith("Usage: ")


@pytest.mark.parametrize("name", LOOK)
def test_every_command_that_looks_speaks_json(name: str) -> None:
    assert "--json" in run(name, "--help").output


def test_where_names_the_choice_of_every_tier() -> None:
    result = run("where", str(FLEET), "198.51.100.7:4000", "203.0.113.10:80", "--json")
    told = json.loads(result.output)

    assert ["cluster", "service", "return_path"] == [tier["kind"] for tier in told["tiers"]]
    assert told["server"] == told["tiers"][1]["server"]
    assert told["tiers"][0]["server"] == told["tiers"][2]["server"]
    assert (198 << 24 | 51 << 16 | 100 << 8 | 7) + (203 << 24 | 113 << 8 | 10) + 80 == told["key"]


@pytest.mark.parametrize(
    ("destination", "hint"),
    [
        ("2001:db8:113::10:80", "did you mean [2001:db8:113::10]:80?"),
        ("2001:db8:113::10", None),
        ("[2001:db8:113::10]:80", None),
        ("2001:db8:113::11:80", None),
        ("2001:db8:113::10:fe", None),
        ("[2001:db8:113::10:80]:80", None),
    ],
)
def test_a_port_that_was_read_as_a_part_of_the_address_is_hinted_at(
    destination: str, hint: str | None
) -> None:
    arguments = ("where", str(DUAL_STACK), "2001:db8::7", destination)
    said, told = run(*arguments), json.loads(run(*arguments, "--json").output)

    assert (f"{hint}\n" if hint else "") == said.stderr
    assert hint == told.get("hint")


@pytest.mark.parametrize("place", ["absent/x.html", "file/x.html", "folder"])
def test_a_page_that_cannot_be_written_is_refused_before_anything_is_measured(
    tmp_path: Path, place: str
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    result = run("bench", "--html", str(tmp_path / place))

    assert 2 == result.exit_code
    assert "cannot be written" in result.stderr
    assert ["file", "folder"] == sorted(path.name for path in tmp_path.iterdir())


def test_a_page_that_can_be_written_is_left_as_it_is_until_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    (tmp_path / "old.html").write_text("old")
    for name in ("old.html", "new.html"):
        run("bench", "--html", str(tmp_path / name))

    assert ["old.html"] == [path.name for path in tmp_path.iterdir()]
    assert "old" == (tmp_path / "old.html").read_text()


def test_a_node_that_runs_is_stopped_before_it_is_detached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "RUN", tmp_path)
    with state.sole_writer("lb1"):
        result = run("detach", "--node", "lb1")

    assert isinstance(result.exception, HostError)
    assert f"node 'lb1' is run by process {os.getpid()}; stop that one first" == str(
        result.exception
    )


@pytest.mark.parametrize(
    ("called", "named"),
    [
        ("/opt/x/bin/remainder", "sudo /opt/x/bin/remainder run 'a b'"),
        ("/opt/x/remainder/__main__.py", f"sudo {sys.executable} -m remainder run 'a b'"),
    ],
)
def test_a_command_that_takes_root_is_named_by_its_path(
    monkeypatch: pytest.MonkeyPatch, called: str, named: str
) -> None:
    monkeypatch.setattr(sys, "argv", [called, "run", "a b"])

    assert named == sudo()


def test_nodes_with_the_same_file_agree(tmp_path: Path) -> None:
    plan = make_plan(load(FLEET))
    result = run("agree", str(FLEET), saved(tmp_path, report(plan, "lb1"), report(plan, "lb2")))

    assert 0 == result.exit_code
    assert "lb2 (balancer)  agrees" in result.output


def test_a_node_with_another_file_is_shown_a_packet(tmp_path: Path) -> None:
    text = FLEET.read_text().replace('"192.0.2.12", weight = 2', '"192.0.2.12"')
    other = tmp_path / "other.toml"
    other.write_text(text)
    theirs = report(make_plan(load(other)), "lb2")
    result = run("agree", str(FLEET), saved(tmp_path, theirs))

    assert isinstance(result.exception, Disagreement)
    assert "lb2 (balancer)  DIFFERS: a packet is answered differently" in result.output
    assert "203.0.113.10:80 tcp: the file says s" in result.output


def test_a_cluster_with_a_missing_member_is_incomplete(tmp_path: Path) -> None:
    config = load(FLEET)
    one = report(member_plan(config, config.cluster), "r1")
    result = run("agree", str(FLEET), saved(tmp_path, one))

    assert isinstance(result.exception, Disagreement)
    assert "no member keeps the 1 slot of r2" in result.output


@pytest.mark.parametrize(
    ("content", "said"), [("{}", "status --json"), ("nonsense", "not JSON; expected the output of")]
)
def test_what_is_no_report_is_refused(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(content)
    result = run("agree", str(FLEET), str(path))

    assert isinstance(result.exception, ConfigError)
    assert said in str(result.exception)


def test_check_tells_all_tiers() -> None:
    told = json.loads(run("check", "--no-host", str(FLEET), "--json").output)

    assert told["valid"]
    assert ["cluster", "service", "return_path"] == [tier["kind"] for tier in told["tiers"]]


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_node_that_cannot_be_told_of_is_an_error_beside_the_others(
    monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    lost = {"node": "lb2", "role": "balancer", "error": "no data plane"}
    monkeypatch.setattr("remainder.cli.status.reports", lambda _: [status_report(), lost])
    result = run("status", *options)

    assert isinstance(result.exception, HostError)
    assert "lb2 (balancer): no data plane" == str(result.exception)
    assert "lb1" in result.stdout
    assert bool(options) == ("no data plane" in result.stdout)


def test_the_id_of_a_message_stands_behind_its_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("remainder.cli.status.reports", lambda _: [])
    monkeypatch.setattr(sys, "argv", ["remainder", "status"])
    with pytest.raises(SystemExit) as ended:
        main()

    assert 1 == ended.value.code
    assert re.fullmatch(
        r"remainder: nothing runs on this host; .* \[nothing-runs\]\n", capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["where"], r"missing argument 'FILE' \(try `.*remainder where --help`\)"),
        (["chekc"], r"no such command 'chekc' \(try `.*remainder --help`\)"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_sentence_like_all_others(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    sentence: str,
) -> None:
    monkeypatch.setattr(sys, "argv", ["remainder", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()

    assert 2 == ended.value.code
    assert re.fullmatch(f"remainder: {sentence}\n", capsys.readouterr().err)


def test_a_missing_interface_is_told_once() -> None:
    web = str(DUAL_STACK.with_name("web.toml"))
    result = run("check", web, "--node", "lb1", "--interface", "absent0")

    assert 1 == result.output.count("no interface named 'absent0'")


@pytest.mark.parametrize("options", [(), ("--json",)])
@pytest.mark.parametrize("met", [True, False])
def test_check_fails_for_what_the_host_lacks_if_it_is_strict(
    monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], *, met: bool
) -> None:
    """For a skew it does not: the file has some, and they are told either way."""
    finding = Finding("the program can be attached", met=met, detail="it tried")
    monkeypatch.setattr("remainder.diagnose.probe.probe_host", lambda _: [])
    monkeypatch.setattr("remainder.diagnose.probe.probe", lambda *_: [finding])
    lenient = run("check", str(FLEET), "--node", "lb1", *options)
    strict = run("check", str(FLEET), "--node", "lb1", "--strict", *options)

    assert 0 == lenient.exit_code
    assert lenient.stdout == strict.stdout
    assert "warning" in strict.stdout
    assert met == (strict.exit_code == 0)
    if not met:
        assert isinstance(strict.exception, HostError)
        assert f"this host cannot run {FLEET}: the program can be attached" in str(strict.exception)


def test_check_warns_of_tiers_that_are_not_independent(tmp_path: Path) -> None:
    """The routers and the servers of the fleet, with one key in both."""
    text = FLEET.read_text(encoding="utf-8")
    five = (
        'key     = "src_ip + src_port + dst_ip + dst_port + protocol"\ntable   = "modulo"\nmembers'
    )
    file = tmp_path / "fleet.toml"
    file.write_text(
        text.replace(five, five.replace("src_port + ", "").replace(" + protocol", "")).replace(
            "weight = 2", "weight = 1"
        )
    )
    result = run("check", "--no-host", str(file))

    assert text != file.read_text()
    assert (
        "  warning: cluster 'routers' and service 'web' choose by the same key, and their slots "
        "(2 and 2) have the common divisor 2, so packets through 'r1' reach only 1 of 2 servers"
    ) in result.stdout


def test_a_node_of_many_roles_has_each_of_them_tried(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "many.toml"
    path.write_text(FLEET.read_text().replace('"s1", interface', '"r1", interface'))
    monkeypatch.setattr("remainder.diagnose.probe.probe_host", lambda _: [])
    monkeypatch.setattr(
        "remainder.diagnose.probe.probe", lambda plan, _: [Finding("x", met=True, detail=plan.role)]
    )
    told = json.loads(run("check", str(path), "--node", "r1", "--json").output)

    assert [("member: x", "member"), ("sender: x", "sender")] == [
        (item["need"], item["detail"]) for item in told["host"]
    ]


def test_one_of_a_kind_is_counted_in_the_singular(tmp_path: Path) -> None:
    path = tmp_path / "one.toml"
    path.write_text(
        """
        [[service]]
        name = "web"
        vip = "203.0.113.10"
        port = 80
        protocol = "tcp"
        key = "src_ip"
        table = "modulo"
        servers = [ { name = "s1", address = "192.0.2.11" } ]
        """
    )
    output = run("check", "--no-host", str(path)).output

    assert "valid, 1 service, tables" in output
    assert "modulo, 1 slot, 1 server\n" in output
