"""What is measured, and what is left out where it is not installed."""

from __future__ import annotations

import pytest

from remainder_bench import connections
from remainder_bench.connection_planes import PLANES
from remainder_lab import tools


def test_without_haproxy_its_row_is_left_out_and_the_report_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tools, "path_of", lambda _: None)

    assert [*PLANES][:-1] == connections.available()
    assert ["haproxy is not installed; apt install haproxy"] == connections.notes()


def test_with_haproxy_everything_is_measured_and_its_version_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tools, "path_of", lambda name: f"/usr/sbin/{name}")
    monkeypatch.setattr(connections, "_version", lambda path: f"version of {path}")

    assert [*PLANES] == connections.available()
    assert ["version of /usr/sbin/haproxy"] == connections.notes()


def test_half_as_many_rounds_are_enough_and_one_is_the_least() -> None:
    assert [1, 1, 2, 5] == [connections.rounds_beside(rounds) for rounds in (1, 2, 3, 9)]
