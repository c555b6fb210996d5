"""Reports of strangers: whatever they hold, they can be compared, or one sentence says why not."""

from __future__ import annotations

import copy
import json
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remainder.errors import ConfigError
from remainder.fleet import member_plan, return_plan
from remainder.observe import agreement, told
from remainder.observe.agreement import compare, coverage
from remainder.observe.told import read_reports
from remainder.plan import Plan, make_plan
from tests.fleets import cluster, fleet, return_path
from tests.unit.observe.test_agreement import report
from tests.unit.observe.test_state import values

CONFIG: Final = fleet(cluster=[cluster()], return_path=[return_path(others=True)])
PLANS: Final[dict[str, Plan]] = {
    "balancer": make_plan(CONFIG),
    "member": member_plan(CONFIG, CONFIG.cluster),
    "sender": return_plan(CONFIG, CONFIG.return_path),
}


def status(*nodes: Any, **changed: Any) -> dict[str, Any]:
    return {"version": 1, "nodes": list(nodes), "unreadable": []} | changed


def read(content: Any) -> told.Reports:
    return read_reports("x.json", json.dumps(content).encode())


def sound(role: str = "balancer") -> dict[str, Any]:
    return report(PLANS[role], "lb1")


def changed(path: str, value: Any, role: str = "balancer") -> dict[str, Any]:
    """A sound report with one value changed; the path is like ``services.0.slots``."""
    made: Any = copy.deepcopy(sound(role))
    *steps, last = path.split(".")
    at = made
    for step in steps:
        at = at[int(step) if isinstance(at, list) else step]
    at[int(last) if isinstance(at, list) else last] = value
    return {**made}


@pytest.mark.parametrize("role", PLANS)
def test_what_a_node_of_each_role_reports_is_read_and_agrees(role: str) -> None:
    found = read(status(sound(role)))

    assert compare(PLANS[role], found.nodes[0]).agrees
    assert [] == found.unreadable


@pytest.mark.parametrize("content", [[], {}, {"nodes": [{}]}, {"nodes": 7}, "text", None, 7])
def test_something_else_than_a_report_is_refused(content: Any) -> None:
    with pytest.raises(ConfigError, match="status --json"):
        read(content)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("role", "wizard", "role"),
        ("node", "lb1\x1b[2K\rlb2 (balancer)  agrees: the same tables", "node"),
        ("node", 7, "node"),
        ("node", "", "node"),
        ("services", [], "services"),
        ("services.0.name", "", "name"),
        ("services.0.vip", "203.0.113.300", "is not an IP address"),
        ("services.0.vip", "any", "differ in their IP version"),
        ("services.0.vip", "2001:db8::1", "differ in their IP version"),
        ("services.0.port", 70000, "out of range"),
        ("services.0.port", "http", "out of range"),
        ("services.0.port", True, "port"),
        ("services.0.protocol", "999", "unknown protocol"),
        ("services.0.protocol", "\u0663", "unknown protocol"),
        ("services.0.key", "src_mac", "src_mac"),
        ("services.0.table", "roulette", "unknown table"),
        ("services.0.slots", 0, "slots"),
        ("services.0.slots", 3, "these servers make"),
        ("services.0.slots", 1 << 40, "slots"),
        ("services.0.method", "teleport", "unknown method"),
        ("services.0.fragments", "eat", "fragments"),
        ("services.0.servers", [], "servers"),
        ("services.0.servers.0.weight", 256, "weight"),
        ("services.0.servers.0.weight", -1, "weight"),
        ("services.0.servers.0.address", "", "the address of s1 is ''"),
        ("services.0.servers.0.address", "192.0.2", "is not an IP address"),
        ("services.0.servers.0.name", "\x1b]0;", "name"),
        ("services.0.servers.1.name", "s1", "duplicate name"),
        ("services.0.servers.0.packets", -1, "packets"),
        ("services.0.servers.0.slot", -1, "slot"),
        ("services.0.servers.0.slot", 1 << 40, "slot"),
        ("services.0.servers.0.slot", 7, "slot"),
        ("fingerprint", {}, "fingerprint"),
        ("fingerprint", {"tables": 7}, "tables"),
    ],
)
def test_a_value_that_no_node_reports_is_refused_in_one_sentence(
    path: str, value: Any, said: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        read(status(changed(path, value)))

    assert str(refused.value).startswith("x.json: ")
    assert said in str(refused.value)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    "content",
    [
        b"nonsense",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"version": 1, "nodes": ' + b"[" * 100_000,
        b'{"version": ' + b"9" * 5_000 + b"}",
        b"",
    ],
    ids=lambda content: content[:20],
)
def test_bytes_that_are_no_report_are_refused_in_one_sentence(content: bytes) -> None:
    with pytest.raises(ConfigError, match="status --json"):
        read_reports("x.json", content)


def test_a_report_without_end_is_not_read_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told, "MAX_BYTES", 10)
    with pytest.raises(ConfigError, match="more than 10 bytes"):
        read_reports("x.json", b" " * 11)


def test_tables_that_would_fill_the_memory_are_refused_before_they_are_made() -> None:
    made = sound()
    one = made["services"][0]
    made["services"] = [
        one | {"name": f"w{number}", "table": "maglev", "slots": 1_048_573} for number in range(129)
    ]
    with pytest.raises(ConfigError, match="slots; the maximum is"):
        read(status(made))


def test_another_release_is_named_before_its_fields_are() -> None:
    with pytest.raises(ConfigError, match="version is 2; expected 1"):
        read({"version": 2, "nodes": [{"later": True}]})


def test_nodes_that_could_not_be_read_there_are_kept() -> None:
    lost = {"node": "lb2", "role": "balancer", "error": "no data plane"}

    assert [lost] == read(status(sound(), unreadable=[lost])).unreadable


def places(value: Any, path: str = "") -> list[str]:
    """Every place in plain data."""
    found = [path] if path else []
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for step, item in items:
        found += places(item, f"{path}.{step}" if path else str(step))
    return found


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, Any]:
    """(role, report): a sound one with one to three values changed."""
    role = draw(st.sampled_from(sorted(PLANS)))
    made: Any = copy.deepcopy(sound(role))
    like = st.sampled_from(
        ["any", "", 0, 1, -1, 80, "80", "maglev", "modulo", 65537, "hash(src_ip)", "src_port",
         "::", "0.0.0.0", "fe80::1%eth0", "::ffff:192.0.2.1", "forward", "member", "sctp", 1 << 70]
    )  # fmt: skip
    for _ in range(draw(st.integers(1, 3))):
        *steps, last = draw(st.sampled_from(places(made))).split(".")
        at = made
        for step in steps:
            at = at[int(step) if isinstance(at, list) else step]
        at[int(last) if isinstance(at, list) else last] = draw(like | values())
    return role, made


@given(mutated())
@settings(max_examples=200)
def test_whatever_is_reported_is_compared_or_refused_in_one_sentence(made: tuple[str, Any]) -> None:
    role, content = made
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(agreement, "FLOWS_COMPARED", 20)
            found = read(status(content))
            verdicts = [compare(PLANS[role], node) for node in found.nodes]
            covered = coverage(found.nodes)
    except ConfigError as error:
        assert str(error).isprintable()  # noqa: PT017  (a sentence, if it is refused)
    else:
        assert all(verdict.reason for verdict in verdicts)
        assert all(item.slots for item in covered)


@given(values() | st.builds(status, values()) | st.builds(lambda v: status(unreadable=v), values()))
@settings(max_examples=200)
def test_any_json_is_reports_or_one_sentence(content: Any) -> None:
    try:
        found = read(content)
    except ConfigError as error:
        assert str(error).isprintable()  # noqa: PT017  (a sentence, if it is refused)
    else:
        assert [] == found.nodes
