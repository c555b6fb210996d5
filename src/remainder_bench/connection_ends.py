"""Both ends of many short TCP connections, with as few system calls as there can be.

Run inside a host as ``connection_ends.py server PORT`` and
``connection_ends.py client ADDRESS PORT CONNECTIONS``.  The server says ``ready`` and
answers until it is ended.  The client opens a batch, asks on each, reads each to its
end, and prints the results in a line of JSON.
Rule: the standard library alone, so that a process is there in a moment; neither end
knows what is between them.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import statistics
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

REQUEST: Final = b"GET / HTTP/1.0\r\n\r\n"
ANSWER: Final = b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nyes"
BATCH: Final = 16
"""Connections that are open at the same time: 1 to 2 ms, mostly between two turns of the scheduler.

So the median of the batches is what a connection takes, whatever else runs on the CPU.
"""

WARM_UP: Final = 32 * BATCH
FIRST_LIMIT_S: Final = 5.0
"""So long the client tries to get its first answer: who stands between may still be starting."""

LIMIT_S: Final = 20.0
"""What has no answer by then has failed."""

_BACKLOG: Final = 4096
_MOST_BYTES: Final = 4096


class TooLate(Exception):
    """The time is over."""


def serve(port: int) -> None:
    """Answer one after the other, and close first, as a server of HTTP/1.0 does.

    So what waits after the close (TIME_WAIT) is here, and no port of the client is used up.
    """
    listening = socket.create_server(("", port), backlog=_BACKLOG)
    _say("ready")
    while True:
        connection, _ = listening.accept()
        answer(connection)


def answer(connection: socket.socket) -> None:
    """Read a request, answer, close; whatever goes wrong, the client counts it."""
    try:
        connection.recv(_MOST_BYTES)
        connection.send(ANSWER)
    except OSError:
        pass
    finally:
        connection.close()


def batch(address: tuple[str, int], count: int) -> int:
    """Open ``count`` connections and ask on each, then read each; how many were answered.

    The sockets block: on one CPU most of what they wait for is there before they wait.
    """
    opened = [_asked(address) for _ in range(count)]
    return sum(_answered(connection) for connection in opened)


def ask(address: tuple[str, int], connections: int) -> dict[str, float]:
    """So many connections after a warm-up: how many were answered, and in what time each.

    ``connections`` is a multiple of BATCH.
    """
    answered, begun_s, idle_s = 0, time.monotonic(), _idle_s()
    ends_s: list[float] = []
    try:
        while not batch(address, 1) and time.monotonic() < begun_s + FIRST_LIMIT_S:
            time.sleep(0.01)
        for _ in range(WARM_UP // BATCH):
            batch(address, BATCH)
        begun_s, idle_s = time.monotonic(), _idle_s()
        for _ in range(connections // BATCH):
            answered += batch(address, BATCH)
            ends_s.append(time.monotonic())
    except TooLate:
        pass
    return {
        "answered": answered,
        "us": median_us([begun_s, *(ends_s or [time.monotonic()])]),
        "idle": (_idle_s() - idle_s) / (time.monotonic() - begun_s),
    }


def median_us(stamps_s: Sequence[float]) -> float:
    """What a connection takes, by the times between batches."""
    return 1e6 / BATCH * statistics.median(after - before for before, after in pairwise(stamps_s))


def idle_ticks(stat: str, cpu: int) -> int:
    """How long a CPU had nothing to do, in ticks, out of /proc/stat."""
    for line in stat.splitlines():
        name, *ticks = line.split()
        if name == f"cpu{cpu}":
            return int(ticks[3]) + int(ticks[4])  # idle, and idle with a disk at work
    return 0


def main(arguments: Sequence[str]) -> None:
    """The command line."""
    kind, *rest = arguments
    if kind == "server":
        serve(int(rest[0]))
        return
    address, port, connections = rest
    signal.signal(signal.SIGALRM, _time_is_over)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
    _say(json.dumps(ask((address, int(port)), int(connections))))


def _asked(address: tuple[str, int]) -> socket.socket:
    connection = socket.socket()
    try:
        connection.connect(address)
        connection.send(REQUEST)
    except OSError:
        pass  # reading from it fails too
    return connection


def _answered(connection: socket.socket) -> bool:
    try:
        return connection.recv(_MOST_BYTES, socket.MSG_WAITALL) == ANSWER
    except OSError:
        return False
    finally:
        connection.close()


def _idle_s() -> float:
    ticks = idle_ticks(Path("/proc/stat").read_text("utf-8"), max(os.sched_getaffinity(0)))
    return ticks / os.sysconf("SC_CLK_TCK")


def _time_is_over(*_: object) -> None:
    raise TooLate


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
