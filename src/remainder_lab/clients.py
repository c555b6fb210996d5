"""Clients that run inside a host: many real sessions from many addresses, in one process.

Run as ``python -m remainder_lab.clients KIND …``; each result is a line of JSON.
``http`` short sessions · ``hold`` sessions kept open until stdin ends ·
``transfer`` a large body down and up · ``udp`` datagrams and their echoes.
Rule: bounded in time and in number, whatever the other side does.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from remainder_lab.connection import FAILURES, Connection, client_socket, connected, local_endpoint

MOST_SESSIONS: Final = 20_000
MOST_ERRORS_TOLD: Final = 5


@dataclass
class Report:
    """What one session saw; becomes a line of JSON."""

    client: str
    target: str
    servers: list[str] = field(default_factory=list)
    requests: int = 0
    errors: list[str] = field(default_factory=list)
    longest_wait_s: float = 0.0

    @contextlib.contextmanager
    def noting(self) -> Iterator[None]:
        """Time what is done in the block, and note how it fails."""
        begun_s = time.monotonic()
        try:
            yield
        except FAILURES as error:
            if len(self.errors) < MOST_ERRORS_TOLD:
                self.errors.append(f"{type(error).__name__}: {error}".removesuffix(": "))
        finally:
            self.longest_wait_s = max(self.longest_wait_s, time.monotonic() - begun_s)

    def answered_by(self, server: str) -> None:
        """Note one good answer."""
        self.requests += 1
        if server not in self.servers:
            self.servers.append(server)


async def http(options: argparse.Namespace) -> None:
    """Short sessions: connect, ask, close."""

    async def one(source: str) -> None:
        report = Report(source, options.target)
        with report.noting():
            async with (
                asyncio.timeout(options.timeout),
                connected(source, options.target) as connection,
            ):
                report.client = connection.client
                for _ in range(options.requests):
                    report.answered_by(await connection.who("/"))
        _say(vars(report))
        await asyncio.sleep(options.pause)

    await _side_by_side(options, one)


async def hold(options: argparse.Namespace) -> None:
    """Sessions kept open, each asking every ``--pause`` seconds, until stdin ends."""
    stop = _stopped_from_outside(options)
    opening = asyncio.Semaphore(options.concurrency)
    reports = [Report(source, options.target) for source in _sources(options)]
    waiting = len(reports)

    async def open_one(report: Report, stack: contextlib.AsyncExitStack) -> Connection | None:
        nonlocal waiting
        connection = None
        with report.noting():
            async with opening, asyncio.timeout(options.timeout):
                connection = await stack.enter_async_context(
                    connected(report.client, options.target)
                )
                report.client = connection.client
                report.answered_by(await connection.who("/hold"))
        waiting -= 1
        if not waiting:
            _say({"ready": len(reports), "failed": sum(bool(one.errors) for one in reports)})
        return connection

    async def one(number: int, report: Report) -> None:
        async with contextlib.AsyncExitStack() as stack:
            connection = await open_one(report, stack)
            # The first requests are spread over a pause, so that they do not come in waves.
            pause_s = options.pause * number / len(reports)
            while connection and not report.errors and not await _is_set_within(stop, pause_s):
                pause_s = options.pause
                with report.noting():
                    async with asyncio.timeout(options.timeout):
                        report.answered_by(await connection.who("/hold"))

    await asyncio.gather(*(one(number, report) for number, report in enumerate(reports)))
    await stop.wait()
    for report in reports:
        _say(vars(report))


async def transfer(options: argparse.Namespace) -> None:
    """A body of ``--size`` bytes down, then up, on a session each; checksums compared."""

    async def one(source: str) -> None:
        for direction, work in (("down", Connection.download), ("up", Connection.upload)):
            report = Report(source, options.target)
            with report.noting():
                async with (
                    asyncio.timeout(options.timeout),
                    connected(source, options.target) as connection,
                ):
                    report.client = connection.client
                    report.answered_by(await work(connection, options.size))
            _say({**vars(report), "direction": direction, "length": options.size})

    await _side_by_side(options, one)


async def udp(options: argparse.Namespace) -> None:
    """``--requests`` datagrams on each flow; the echo of one is awaited before the next."""

    async def echo(sock: socket.socket, sent: bytes) -> str:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(sock, sent)
        while True:
            name, _, echoed = (await loop.sock_recv(sock, 2048)).partition(b" ")
            # The echo of an earlier datagram that was given up may still come in.
            if echoed == sent:
                return name.decode()

    async def one(source: str) -> None:
        report = Report(source, options.target)
        with report.noting(), await client_socket(source, options.target, _DATAGRAM) as sock:
            report.client = local_endpoint(sock)
            for number in range(options.requests):
                with report.noting():
                    async with asyncio.timeout(options.timeout):
                        report.answered_by(await echo(sock, b"%d" % number))
                await asyncio.sleep(options.pause)
        _say(vars(report))

    await _side_by_side(options, one)


_DATAGRAM: Final = socket.SOCK_DGRAM

KINDS: Final[Mapping[str, Callable[[argparse.Namespace], Coroutine[Any, Any, None]]]] = {
    "http": http,
    "hold": hold,
    "transfer": transfer,
    "udp": udp,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="remainder_lab.clients", description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--target", required=True, help="ADDRESS:PORT, [IPV6]:PORT")
    parser.add_argument(
        "--sources",
        required=True,
        type=lambda text: text.split(","),
        help="own addresses, taken in turn: ADDRESS or ADDRESS:PORT, with commas between",
    )
    parser.add_argument("--sessions", type=int, help="how many; one per source if not given")
    parser.add_argument("--concurrency", type=int, default=64, help="how many at a time")
    parser.add_argument("--requests", type=int, default=1, help="requests in a session")
    parser.add_argument("--size", type=int, default=50_000_000, help="bytes of a transfer")
    parser.add_argument("--pause", type=float, default=0.0, help="seconds between requests")
    parser.add_argument("--timeout", type=float, default=5.0, help="seconds for one answer")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds in all")
    options = parser.parse_args(arguments)
    asyncio.run(KINDS[options.kind](options))


async def _side_by_side(options: argparse.Namespace, one: Callable[[str], Awaitable[None]]) -> None:
    """Work through the sessions, ``--concurrency`` at a time, for ``--limit`` seconds at most."""
    sources = _sources(options)

    async def work() -> None:
        for source in sources:
            await one(source)

    async with asyncio.timeout(options.limit):
        await asyncio.gather(*(work() for _ in range(options.concurrency)))


def _sources(options: argparse.Namespace) -> Iterator[str]:
    count = min(options.sessions or len(options.sources), MOST_SESSIONS)
    return itertools.islice(itertools.cycle(options.sources), count)


def _stopped_from_outside(options: argparse.Namespace) -> asyncio.Event:
    """Set when stdin ends, at SIGTERM, or when the time is over."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def read() -> None:
        if not os.read(0, 4096):
            loop.remove_reader(0)
            stop.set()

    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_reader(0, read)
    loop.call_later(options.limit, stop.set)
    return stop


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()


def _say(values: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
