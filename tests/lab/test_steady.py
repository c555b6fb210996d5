"""The steady clients, on the loopback: what they count is what happened.

How much happens in half a second is the machine's affair; what both ends saw of it must agree.
"""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from remainder_bench.steady import Clients

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
HERE = "127.0.0.1"
TIMEOUT_S = 1.0


@dataclass(frozen=True)
class Server:
    """Where it is, and what it was asked."""

    target: tuple[str, int]
    asked: list[int]
    """the numbers of the requests"""


@contextmanager
def serving(answer: Callable[[int], bytes | None]) -> Iterator[Server]:
    """A server that answers each request by its number; None ends the connection."""
    listening = socket.create_server((HERE, 0), backlog=64)
    number = itertools.count()
    server = Server((HERE, listening.getsockname()[1]), [])

    def talk(connection: socket.socket) -> None:
        with connection:
            while connection.recv(4096):
                this = next(number)
                server.asked.append(this)
                said = answer(this)
                if said is None:
                    return
                connection.sendall(said)

    def accept() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=talk, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield server
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()


def run(clients: Clients, sessions: int, *, new_per_s: float) -> float:
    """Half a second of work; returns how long it took."""
    opened = clients.open(sessions)
    begun_s = time.monotonic()
    clients.work(opened, seconds=0.5, pause_s=0.1, new_per_s=new_per_s)
    took_s = time.monotonic() - begun_s
    clients.close()
    return took_s


def test_every_request_and_connection_is_counted_once() -> None:
    with serving(lambda _: ANSWER) as server:
        clients = Clients(server.target, [HERE], TIMEOUT_S)
        run(clients, 4, new_per_s=20)
    seen = clients.seen

    assert 0 == seen.lost
    assert 1 <= seen.attempted <= 10
    assert seen.attempted == len(seen.served_us)
    assert 4 <= len(seen.requests_us) <= 20
    # Each session was answered once before it all began.
    assert len(server.asked) == 4 + len(seen.requests_us) + len(seen.served_us)
    assert all(0 < took_us < TIMEOUT_S * 1e6 for took_us in seen.requests_us)


def test_a_session_that_is_closed_is_lost_once() -> None:
    with serving(lambda number: ANSWER if number < 3 else None) as server:
        clients = Clients(server.target, [HERE], TIMEOUT_S)
        run(clients, 3, new_per_s=0.1)

    assert 1 <= clients.seen.lost == len(server.asked) - 3 <= 3
    assert [] == clients.seen.requests_us


def test_an_answer_that_does_not_come_loses_its_session_in_time() -> None:
    """And ends what was attempted, so that nothing waits for ever."""
    with serving(lambda number: ANSWER if number < 3 else b"") as server:
        clients = Clients(server.target, [HERE], TIMEOUT_S)
        took_s = run(clients, 3, new_per_s=20)

    assert 1 <= clients.seen.lost <= 3
    assert 1 <= clients.seen.attempted <= 10
    assert [] == clients.seen.served_us
    assert [] == clients.seen.requests_us
    assert TIMEOUT_S <= took_s < 5 * TIMEOUT_S


def _says(said: bytes, number: int) -> bytes:
    del number
    return said


def test_half_an_answer_and_a_refusal_are_none() -> None:
    for said in (ANSWER[:-1], b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"):
        with serving(partial(_says, said)) as server:
            clients = Clients(server.target, [HERE], TIMEOUT_S)
            run(clients, 0, new_per_s=20)

        assert 1 <= clients.seen.attempted <= 10
        assert [] == clients.seen.served_us


def test_who_is_refused_is_not_served() -> None:
    with socket.create_server((HERE, 0)) as gone:
        target = (HERE, gone.getsockname()[1])
    clients = Clients(target, [HERE], TIMEOUT_S)
    run(clients, 0, new_per_s=10)

    assert 1 <= clients.seen.attempted <= 5
    assert [] == clients.seen.served_us
