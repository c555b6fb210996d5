"""Both ends of short connections: what is answered is counted, what is not is not."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from remainder_bench import connection_ends
from remainder_bench.connection_ends import (
    ANSWER,
    BATCH,
    REQUEST,
    answer,
    ask,
    batch,
    idle_ticks,
    median_us,
)

HERE = "127.0.0.1"


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server((HERE, 0), backlog=BATCH) as made:
        made.settimeout(10)
        yield made


def served(listening: socket.socket, times: int) -> threading.Thread:
    def serve() -> None:
        for _ in range(times):
            connection, _ = listening.accept()
            answer(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


def test_every_answered_connection_counts(
    listening: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_ends, "WARM_UP", BATCH)
    thread = served(listening, 1 + 3 * BATCH)
    found = ask(listening.getsockname(), 2 * BATCH)
    thread.join()

    assert 2 * BATCH == found["answered"]
    assert found["us"] > 0


def test_a_refused_connection_is_not_answered(listening: socket.socket) -> None:
    address = listening.getsockname()
    listening.close()

    assert 0 == batch(address, 3)


def test_half_an_answer_is_none(listening: socket.socket) -> None:
    def cut_short() -> None:
        connection, _ = listening.accept()
        with connection:
            assert REQUEST == connection.recv(100)
            connection.send(ANSWER[:-1])

    thread = threading.Thread(target=cut_short)
    thread.start()
    found = batch(listening.getsockname(), 1)
    thread.join()

    assert 0 == found


def test_when_the_time_is_over_the_rest_is_not_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([1, BATCH, BATCH])

    def late(_: object, __: int) -> int:
        try:
            return next(answers)
        except StopIteration:
            raise connection_ends.TooLate from None

    monkeypatch.setattr(connection_ends, "WARM_UP", BATCH)
    monkeypatch.setattr(connection_ends, "batch", late)

    assert BATCH == ask((HERE, 1), 4 * BATCH)["answered"]


def test_a_batch_that_was_disturbed_does_not_count() -> None:
    stamps_s = [1.0, 1.0016, 1.0032, 9.0, 9.0016]

    assert pytest.approx(100.0) == median_us(stamps_s)


def test_idle_time_is_that_of_the_one_cpu() -> None:
    stat = "cpu  9 9 9 900 90 9 9\ncpu0 1 2 3 400 50 6 7\ncpu1 1 2 3 30 4 5 6\nintr 1\n"

    assert 34 == idle_ticks(stat, 1)
    assert 0 == idle_ticks(stat, 7)
