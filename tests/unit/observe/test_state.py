"""Who runs a node is who holds its lock, and asking leaves nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remainder.errors import HostError
from remainder.observe import state

OWNER = """
import sys, time
from pathlib import Path
from remainder.observe import state
state.RUN = Path(sys.argv[1])
with state.sole_writer("lb1"):
    print("holds it", flush=True)
    time.sleep(60)
"""


def noted(node: str, **changed: object) -> state.State:
    """Notes of a balancer with one server."""
    server = state.ServerState(
        name="s1", address="192.0.2.11", weight=1, slots=1, counter=0, mac="02:00:00:00:00:01"
    )
    service = state.ServiceState(
        name="web", vip="203.0.113.10", port=80, protocol="tcp", key="src_ip", table="modulo",
        slots=1, method="l2", fragments="drop", servers=[server],
    )  # fmt: skip
    found = state.State(
        node=node, role="balancer", pid=1, file="/etc/remainder.toml", interface="eth0",
        mode="native", published=1, fingerprint_file="f", fingerprint_tables="t",
        fingerprint_program="p", assigned=["203.0.113.10"], managed=["192.0.2.11"],
        services=[service],
    )  # fmt: skip
    return msgspec.structs.replace(found, **changed)


@pytest.fixture(autouse=True)
def rooms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A place that no node of this machine uses."""
    monkeypatch.setattr(state, "RUN", tmp_path / "run")


def test_who_holds_the_lock_runs_the_node_until_it_is_killed() -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(state.RUN)], stdout=subprocess.PIPE, text=True
    )
    with owner:
        assert owner.stdout is not None
        owner.stdout.readline()
        running = state.tended_by("lb1")
        with (
            pytest.raises(HostError, match=f"already run by process {owner.pid}"),
            state.sole_writer("lb1"),
        ):
            pass
        owner.kill()
    state.lock_of("lb1").write_text(f"{os.getpid()}\n")  # the number is another process's by now

    assert owner.pid == running
    assert state.tended_by("lb1") is None


def test_a_look_at_the_lock_keeps_nobody_from_it() -> None:
    state.RUN.mkdir(0o755)
    descriptor = os.open(state.lock_of("lb1"), os.O_RDONLY | os.O_CREAT, 0o600)
    try:
        assert state.tended_by("lb1") is None

        with state.sole_writer("lb1"):
            assert os.getpid() == state.tended_by("lb1")
    finally:
        os.close(descriptor)


def test_who_ends_takes_the_lock_away_whatever_the_end() -> None:
    def fail() -> None:
        with state.sole_writer("lb1"):
            raise HostError("no such interface")

    with state.sole_writer("lb1"):
        assert state.lock_of("lb1").exists()

    assert not state.lock_of("lb1").exists()

    with pytest.raises(HostError, match="no such interface"):
        fail()

    assert not state.lock_of("lb1").exists()


def test_of_many_who_come_and_go_one_at_a_time_is_in() -> None:
    """Also when the file is removed under those who wait for it."""
    inside: list[int] = []
    met: list[int] = []

    def come_and_go() -> None:
        came = 0
        while came < 100:
            try:
                with state.sole_writer("lb1"):
                    inside.append(came)
                    met.append(len(inside))
                    inside.pop()
                    came += 1
            except HostError:
                continue

    visitors = [threading.Thread(target=come_and_go) for _ in range(3)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join(30)

    assert [1] * 300 == met
    assert not state.lock_of("lb1").exists()


SOUND = msgspec.to_builtins(noted("lb1"))


def written(content: bytes) -> None:
    state.write(noted("lb1"))
    state.path_of("lb1", "balancer").write_bytes(content)


@pytest.mark.parametrize(
    "changed",
    [
        {"node": "lb2"},
        {"role": "wizard"},
        {"role": "member"},
        {"assigned": ["203.0.113.300"]},
        {"managed": ["\x1b[2J"]},
        {"cluster_mac": "03:00"},
        {"services": [SOUND["services"][0] | {"servers": [{"name": "s1"}]}]},
        {
            "services": [
                SOUND["services"][0]
                | {"servers": [SOUND["services"][0]["servers"][0] | {"counter": -1}]}
            ]
        },
        {
            "services": [
                SOUND["services"][0]
                | {"servers": [SOUND["services"][0]["servers"][0] | {"mac": "none"}]}
            ]
        },
    ],
    ids=str,
)
def test_notes_that_cannot_be_true_are_refused_in_one_sentence(changed: dict[str, object]) -> None:
    """They would end the next start with a traceback, not `status` alone."""
    written(msgspec.json.encode(SOUND | changed))

    assert state.read("lb1", "balancer") is None
    with pytest.raises(HostError, match="not a state file of this version") as refused:
        state.load("lb1", "balancer")

    assert "state-unreadable" == refused.value.id
    assert "\n" not in str(refused.value)


def values() -> st.SearchStrategy[object]:
    """Any JSON."""
    leaves = st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False)
    return st.recursive(
        leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
    )


@given(
    content=st.binary(max_size=60)
    | values().map(json.dumps).map(str.encode)
    | st.builds(
        lambda field, value: json.dumps(SOUND | {field: value}).encode(),
        st.sampled_from(sorted(SOUND)),
        values(),
    )
    | st.integers(1, 200_000).map(lambda depth: b"[" * depth)
    | st.integers(1, 100_000).map(lambda depth: b'{"node": ' + b"[" * depth)
    | st.just(b'{"published": ' + b"9" * 5_000 + b"}")
)
@settings(max_examples=200)
def test_whatever_the_file_of_notes_holds_is_notes_or_one_sentence(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(state, "RUN", Path(folder))
        written(content)
        try:
            found = state.load("lb1", "balancer")
        except HostError as error:
            assert "\n" not in str(error)  # noqa: PT017  (a sentence, if it is refused)
        else:
            assert "lb1" == found.node
