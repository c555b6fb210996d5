"""Clients at a steady pace: sessions that ask on and on, and new ones beside them.

One small loop instead of the tasks of ``clients``, since it times answers of a
fraction of a millisecond.  Run as ``python -m remainder_bench.steady …``: it says
``ready`` when its sessions are open, begins when stdin ends, and ends with one
line of JSON, a ``Seen``.

Rules: a request that has no whole answer within ``--timeout`` is lost, and its
session with it; a new connection is served if it is open and answered within
``--timeout``.  The first retransmission of a SYN comes after a second, so with
a timeout of a second none of those served needed one.
"""

from __future__ import annotations

import argparse
import errno
import gc
import heapq
import itertools
import json
import os
import re
import select
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Final

_IP_BIND_ADDRESS_NO_PORT: Final = 24
_REQUEST: Final = b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n"
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_UNDER_WAY: Final = (errno.EINPROGRESS, errno.EWOULDBLOCK)


@dataclass
class Seen:
    """What the clients saw."""

    requests_us: list[int] = field(default_factory=list)
    """of the open sessions: from each question to the whole answer"""
    lost: int = 0
    """open sessions that broke"""
    attempted: int = 0
    """new connections"""
    served_us: list[int] = field(default_factory=list)
    """of the new connections that were served: from SYN to the whole answer"""


class Exchange:
    """One connection, and the answer that it waits for."""

    def __init__(self, sock: socket.socket, *, new: bool) -> None:
        self.sock = sock
        self.new = new
        self.begun_s = 0.0
        self.waiting = False
        self.answer = b""

    def ask(self) -> None:
        """Send the request; it always fits an empty buffer."""
        self.answer = b""
        self.sock.send(_REQUEST)

    def complete(self) -> bool:
        """Read what came; whether it is a whole good answer.  Raises OSError."""
        piece = self.sock.recv(65_536)
        if not piece:
            raise ConnectionResetError
        self.answer += piece
        head, blank, body = self.answer.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if blank and not (head.startswith(b"HTTP/1.1 200 ") and length):
            raise ConnectionAbortedError
        return bool(blank) and length is not None and len(body) >= int(length[1])


class Clients:
    """The loop."""

    def __init__(self, target: tuple[str, int], sources: Sequence[str], timeout_s: float) -> None:
        self.seen = Seen()
        self._target = target
        self._sources = itertools.cycle(sources)
        self._timeout_s = timeout_s
        self._poll = select.epoll()
        self._by_number: dict[int, Exchange] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._number = itertools.count()
        self._pause_s = 0.0
        self._end_s = 0.0

    def open(self, sessions: int) -> list[Exchange]:
        """Sessions that are there before anything begins, each answered once.  Raises OSError."""
        opened = []
        for _ in range(sessions):
            exchange = Exchange(self._socket(), new=False)
            exchange.sock.settimeout(self._timeout_s)
            exchange.sock.connect(self._target)
            exchange.ask()
            while not exchange.complete():
                pass
            exchange.sock.settimeout(0)
            self._watch(exchange, select.EPOLLIN)
            opened.append(exchange)
        return opened

    def work(
        self, opened: Sequence[Exchange], *, seconds: float, pause_s: float, new_per_s: float
    ) -> None:
        """Ask on every session each ``pause_s``, and connect ``new_per_s``."""
        begun_s = time.monotonic()
        self._pause_s = pause_s
        for number, exchange in enumerate(opened):
            self._at(begun_s + pause_s * number / len(opened), partial(self._ask, exchange))
        for number in range(round(seconds * new_per_s)):
            self._at(begun_s + (number + 0.5) / new_per_s, self._connect)
        self._end_s = begun_s + seconds
        while (now_s := time.monotonic()) < self._end_s or self._waits_at(now_s):
            while self._timers and self._timers[0][0] <= now_s:
                _, _, action = heapq.heappop(self._timers)
                action()
            soon_s = self._timers[0][0] if self._timers else self._end_s
            wait_s = min(max(soon_s - time.monotonic(), 0.0), self._timeout_s)
            for number, events in self._poll.poll(wait_s):
                self._ready(self._by_number[number], events)
        for exchange in [one for one in self._by_number.values() if one.waiting]:
            self._fail(exchange)

    def close(self) -> None:
        """Close every session."""
        for exchange in list(self._by_number.values()):
            self._drop(exchange)
        self._poll.close()

    def _waits_at(self, now_s: float) -> bool:
        return now_s < self._end_s + self._timeout_s and any(
            one.waiting for one in self._by_number.values()
        )

    def _at(self, due_s: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (due_s, next(self._number), action))

    def _ask(self, exchange: Exchange) -> None:
        if exchange.sock.fileno() < 0 or time.monotonic() >= self._end_s:
            return
        self._begin(exchange)
        try:
            exchange.ask()
        except OSError:
            self._fail(exchange)

    def _connect(self) -> None:
        if time.monotonic() >= self._end_s:
            return
        self.seen.attempted += 1
        exchange = Exchange(self._socket(), new=True)
        exchange.sock.settimeout(0)
        self._begin(exchange)
        self._watch(exchange, select.EPOLLOUT)
        if exchange.sock.connect_ex(self._target) not in (0, *_UNDER_WAY):
            self._fail(exchange)

    def _begin(self, exchange: Exchange) -> None:
        exchange.begun_s = begun_s = time.monotonic()
        exchange.waiting = True

        def expire() -> None:
            if exchange.waiting and exchange.begun_s == begun_s:
                self._fail(exchange)

        self._at(begun_s + self._timeout_s, expire)

    def _ready(self, exchange: Exchange, events: int) -> None:
        try:
            if events & select.EPOLLOUT:
                exchange.ask()
                self._poll.modify(exchange.sock.fileno(), select.EPOLLIN)
            elif exchange.complete():
                self._answered(exchange)
        except OSError:
            self._fail(exchange)

    def _answered(self, exchange: Exchange) -> None:
        now_s = time.monotonic()
        took_s = now_s - exchange.begun_s
        exchange.waiting = False
        if took_s > self._timeout_s:
            self._fail(exchange)
        elif exchange.new:
            self.seen.served_us.append(round(took_s * 1e6))
            self._drop(exchange)
        else:
            self.seen.requests_us.append(round(took_s * 1e6))
            due_s = exchange.begun_s + self._pause_s
            self._at(max(due_s, now_s), partial(self._ask, exchange))

    def _fail(self, exchange: Exchange) -> None:
        if exchange.sock.fileno() < 0:
            return
        exchange.waiting = False
        if not exchange.new:
            self.seen.lost += 1
        self._drop(exchange)

    def _drop(self, exchange: Exchange) -> None:
        del self._by_number[exchange.sock.fileno()]
        exchange.sock.close()

    def _watch(self, exchange: Exchange, events: int) -> None:
        number = exchange.sock.fileno()
        self._by_number[number] = exchange
        self._poll.register(number, events)

    def _socket(self) -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.bind((next(self._sources), 0))
        return made


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="remainder_bench.steady", description=__doc__)
    parser.add_argument("--target", required=True, help="ADDRESS:PORT")
    parser.add_argument("--sources", required=True, type=lambda text: text.split(","))
    parser.add_argument("--sessions", type=int, default=50, help="open all the time")
    parser.add_argument("--pause", type=float, default=0.25, help="seconds between two requests")
    parser.add_argument("--new", type=float, default=200.0, help="new connections per second")
    parser.add_argument("--timeout", type=float, default=1.0, help="seconds for one answer")
    parser.add_argument("--seconds", type=float, default=6.0)
    options = parser.parse_args(arguments)
    address, _, port = options.target.rpartition(":")
    clients = Clients((address, int(port)), options.sources, options.timeout)
    opened = clients.open(options.sessions)
    gc.disable()  # its pauses would be measured too
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while os.read(0, 4096):
        pass
    clients.work(opened, seconds=options.seconds, pause_s=options.pause, new_per_s=options.new)
    clients.close()
    sys.stdout.write(json.dumps(asdict(clients.seen)) + "\n")


if __name__ == "__main__":
    main()
