"""docs/schemas/ has the schema of every document of --json, and real output keeps to it.

``pytest tests/docs/test_schemas.py --update-golden`` writes the schemas anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import jsonschema
import msgspec
import pytest
from click.testing import CliRunner, Result

from remainder.cli import LOOK, documents, group, keepalived_documents, plan_documents
from remainder.errors import HostError
from remainder.file_schema import DIALECT
from remainder.fleet import member_plan
from remainder.messages import MESSAGES
from remainder.plan import make_plan
from remainder.sources.file import load
from remainder_bench import control, flood_report, wire_report
from remainder_bench import report as packets_report
from remainder_bench.cli import bench_documents
from tests.docs.pages import EXAMPLES, ROOT, text_of, usable
from tests.unit.bench import test_flood_report as floods
from tests.unit.bench import test_report as packets
from tests.unit.bench import test_wire_report as wires
from tests.unit.observe.test_agreement import report
from tests.unit.redundancy.test_keepalived import FILE as PAIR
from tests.unit.test_status_view import report as status_report
from tests.unit.test_status_view import service

FOLDER: Final = ROOT / "docs" / "schemas"
FLEET: Final = ROOT / "tests" / "golden" / "fleet.toml"
WEB: Final = str(EXAMPLES / "web.toml")
DOCUMENTS: Final[Mapping[str, Any]] = {
    **documents.DOCUMENTS,
    **keepalived_documents.DOCUMENTS,
    **plan_documents.DOCUMENTS,
    **bench_documents.DOCUMENTS,
}


def path_of(name: str) -> Path:
    return FOLDER / f"{name}.json"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_schema_is_that_of_the_type(name: str, request: pytest.FixtureRequest) -> None:
    schema = {"$schema": DIALECT, "title": name, **msgspec.json.schema(DOCUMENTS[name])}
    text = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
    if request.config.getoption("update_golden"):
        FOLDER.mkdir(exist_ok=True)
        path_of(name).write_text(text, encoding="utf-8")
    jsonschema.Draft202012Validator.check_schema(schema)

    assert text == path_of(name).read_text(encoding="utf-8")
    assert ["version"] == [
        field.name for field in msgspec.structs.fields(DOCUMENTS[name]) if field.name == "version"
    ]


def test_there_is_no_other_schema_and_the_page_has_all() -> None:
    assert {path_of(name) for name in DOCUMENTS} == set(FOLDER.iterdir())
    assert not [
        name for name in DOCUMENTS if f"(schemas/{name}.json)" not in text_of("docs/json.md")
    ]


def strict(schema: Any) -> Any:
    """The same schema, which takes no key that it does not name."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: strict(value) for key, value in schema.items()}
    return inner | ({"additionalProperties": False} if "properties" in inner else {})


def assert_is(name: str, document: Any) -> None:
    """The document is one of this schema and of version 1, and has no key besides."""
    schema = json.loads(path_of(name).read_text(encoding="utf-8"))
    jsonschema.validate(document, strict(schema), cls=jsonschema.Draft202012Validator)

    assert 1 == document["version"]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(group, [*arguments, "--json"])


def told(*arguments: str) -> Any:
    """The one document on stdout."""
    return json.loads(run(*arguments).stdout)


@pytest.fixture
def pair(tmp_path: Path) -> str:
    path = tmp_path / "pair.toml"
    path.write_text(PAIR)
    return str(path)


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.name)
def test_check_keeps_to_its_schema(file: Path, tmp_path: Path) -> None:
    assert_is("check", told("check", "--no-host", str(usable(file, tmp_path))))


def test_check_of_a_whole_fleet_and_of_this_host_keeps_to_its_schema() -> None:
    assert_is("check", told("check", str(FLEET), "--node", "r1"))


def test_check_of_a_wrong_file_keeps_to_its_schema(tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(Path(WEB).read_text().replace("port     = 80", "port     = 70000"))
    document = told("check", str(path))

    assert_is("check-failure", document)
    assert document["error"]["where"].endswith(": service[0].port (service 'web')")
    assert 'port is 70000; expected 1–65535 or "any"' == document["error"]["problem"]


@pytest.mark.parametrize(
    "arguments",
    [
        (WEB, "198.51.100.7:4000", "203.0.113.10:80"),
        (WEB, "198.51.100.7:4000", "203.0.113.10:81"),
        (WEB, "198.51.100.7:4000", "203.0.113.99:80"),
        (str(FLEET), "198.51.100.7:4000", "203.0.113.10:80"),
        (str(EXAMPLES / "dual-stack.toml"), "[2001:db8::7]:4000", "[2001:db8:113::10]:80"),
        (str(EXAMPLES / "dual-stack.toml"), "2001:db8::7", "2001:db8:113::10:80"),
    ],
)
def test_where_keeps_to_its_schema(arguments: tuple[str, ...]) -> None:
    assert_is("where", told("where", *arguments))


@pytest.mark.bpf
def test_where_with_the_kernel_keeps_to_its_schema() -> None:
    document = told("where", WEB, "198.51.100.7:4000", "203.0.113.10:80", "--kernel")

    assert_is("where", document)
    assert document["server"] == document["kernel"]["server"]


@pytest.mark.parametrize(
    "arguments",
    [
        (WEB, str(EXAMPLES / "growing.toml")),
        (WEB, str(EXAMPLES / "growing.toml"), "--flows", str(EXAMPLES / "flows.csv")),
        (str(EXAMPLES / "growing.toml"), str(EXAMPLES / "dual-stack.toml")),
        (str(FLEET), WEB),
    ],
)
def test_plan_keeps_to_its_schema(arguments: tuple[str, ...]) -> None:
    assert_is("plan", told("plan", *arguments))


def test_status_keeps_to_its_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = {"node": "lb2", "role": "balancer", "error": "nothing pinned", "id": "nothing-runs"}
    refused = {"at": "2026-01-02 03:04:05+01:00", "sentence": "r.toml:7: unknown key"}
    one = status_report(service(1), service(2, mac=None), refused=refused)
    monkeypatch.setattr("remainder.cli.status.reports", lambda _: [one, lost])
    document = told("status")

    assert_is("status", document)
    assert [one] == document["nodes"]
    assert [lost] == document["unreadable"]


def test_agree_keeps_to_its_schema(tmp_path: Path) -> None:
    config = load(FLEET)
    other = tmp_path / "other.toml"
    other.write_text(FLEET.read_text().replace('"192.0.2.12", weight = 2', '"192.0.2.12"'))
    saved = tmp_path / "status.json"
    plans = {
        "lb1": make_plan(config),
        "lb2": make_plan(load(other)),
        "r1": member_plan(config, config.cluster),
    }
    saved.write_text(
        json.dumps({"version": 1, "nodes": [report(plan, node) for node, plan in plans.items()]})
    )
    document = told("agree", str(FLEET), str(saved))

    assert_is("agree", document)
    assert [True, False, True] == [node["agrees"] for node in document["nodes"]]


def test_a_report_of_another_version_is_refused(tmp_path: Path) -> None:
    saved = tmp_path / "status.json"
    saved.write_text(json.dumps({"version": 2, "nodes": []}))
    document = told("agree", str(FLEET), str(saved))

    assert_is("failure", document)
    assert "version is 2; expected 1" in document["error"]["sentence"]


def test_keepalived_keeps_to_its_schema(pair: str) -> None:
    assert_is("keepalived", told("keepalived", pair, "--node", "lb2"))


def test_bench_keeps_to_its_schemas() -> None:
    """Each is made from the plain values as the command makes it; tests/bpf runs the command."""
    figures = (control.Figure("start to ready", 74.0, "ms"),)
    plain = {
        "bench": packets_report.as_plain(
            packets_report.Report(packets.MACHINE, 5, (packets.GOOD, packets.BAD))
        ),
        "bench-control": control.as_plain(control.Control(packets.MACHINE, figures)),
        "bench-wire": wire_report.as_plain(
            wires.report(wires.FIRST, wires.OURS, connections=(wires.DIRECT, wires.THROUGH_US))
        ),
        "bench-flood": flood_report.as_plain(floods.report(floods.GOOD, floods.OTHER)),
    }
    for name, values in plain.items():
        document = msgspec.to_builtins(msgspec.convert(values, DOCUMENTS[name]))

        assert_is(name, json.loads(json.dumps(document)))
        assert json.loads(json.dumps(values)).items() <= json.loads(json.dumps(document)).items()


@pytest.mark.parametrize(
    "arguments",
    [
        ("where", WEB, "nowhere", "203.0.113.10:80"),
        ("where", "absent.toml", "198.51.100.7", "203.0.113.10:80"),
        ("where",),
        ("agree", "absent.toml"),
        ("keepalived", WEB, "--node", "lb1"),
        ("keepalived", WEB, "--node", "a/b"),
    ],
)
def test_a_failure_is_one_document_on_stdout(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)

    assert done.exception is not None
    assert_is("failure", json.loads(done.stdout))


def test_a_failure_with_an_id_has_it_in_its_document(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remainder.cli.status.reports", lambda _: [])
    done = run("status")
    document = json.loads(done.stdout)

    assert isinstance(done.exception, HostError)
    assert_is("failure", document)
    assert "nothing-runs" == done.exception.id == document["error"]["id"]
    assert str(done.exception) == document["error"]["sentence"]
    assert "nothing-runs" in MESSAGES


def test_an_answer_that_is_an_error_too_is_the_only_document(tmp_path: Path) -> None:
    saved = tmp_path / "status.json"
    plan = make_plan(load(usable(EXAMPLES / "dns.toml", tmp_path)))
    saved.write_text(json.dumps({"version": 1, "nodes": [report(plan, "lb1")]}))
    done = run("agree", WEB, str(saved))

    assert "answers-differ" == getattr(done.exception, "id", None)
    assert_is("agree", json.loads(done.stdout))


def test_every_command_that_looks_has_a_schema() -> None:
    """All but schema, whose output is one."""
    assert {*LOOK} - {"schema"} == {name.split("-")[0] for name in DOCUMENTS} - {"failure"}
