"""Real traffic: what a host's clients did, as values.

The clients run inside the host, one process for all sessions of a call (see
clients.py), and every call ends in bounded time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

from remainder.errors import HostError
from remainder.flow import PROTOCOLS, Flow, parse_endpoint
from remainder_lab.host import Host, python_module
from remainder_lab.patience import patient
from remainder_lab.running import Running

TRANSFER_BYTES: Final = 50_000_000

_CLIENTS: Final = "remainder_lab.clients"
_SLACK_S: Final = 5.0
_DEADLINES: Final = ("timeout", "limit")


@dataclass(frozen=True, kw_only=True)
class Session:
    """What one client session saw."""

    client: str
    """``ADDRESS:PORT``; without the port if it was never connected."""

    target: str
    protocol: int
    servers: tuple[str, ...]
    """Who answered, each name once: a whole session has one."""

    requests: int
    """How many were answered."""

    errors: tuple[str, ...]
    longest_wait_s: float

    @property
    def ok(self) -> bool:
        """Every request was answered, and by one server."""
        return not self.errors and len(self.servers) == 1

    @property
    def server(self) -> str | None:
        """Who answered; None if nobody did."""
        return self.servers[0] if self.servers else None

    @property
    def flow(self) -> Flow:
        """The five fields of what the client sent."""
        source, source_port = parse_endpoint(self.client)
        target, target_port = parse_endpoint(self.target)
        return Flow(source, source_port, target, target_port, self.protocol)


@dataclass(frozen=True, kw_only=True)
class Transfer(Session):
    """A large body, and whether it came through whole."""

    direction: str
    """``down`` to the client or ``up`` to the server."""

    length: int


def http_sessions(  # noqa: PLR0913  (keywords with defaults)
    host: Host,
    target: str,
    *,
    sources: Iterable[str],
    sessions: int | None = None,
    concurrency: int = 64,
    requests: int = 1,
    pause_s: float = 0.0,
    timeout_s: float = 5.0,
    limit_s: float = 60.0,
) -> list[Session]:
    """Short TCP sessions to ``ADDRESS:PORT``, from the sources in turn; one each if not said.

    ``pause_s`` is waited between two sessions of each of ``concurrency`` workers.
    """
    options = {
        "sessions": sessions,
        "concurrency": concurrency,
        "requests": requests,
        "pause": pause_s,
        "timeout": timeout_s,
        "limit": limit_s,
    }
    return [
        Session(**_fields(line, "tcp")) for line in _results(host, "http", target, sources, options)
    ]


def udp_exchanges(  # noqa: PLR0913  (keywords with defaults)
    host: Host,
    target: str,
    *,
    sources: Iterable[str],
    flows: int | None = None,
    concurrency: int = 64,
    datagrams: int = 1,
    pause_s: float = 0.0,
    timeout_s: float = 2.0,
    limit_s: float = 60.0,
) -> list[Session]:
    """Datagrams to a UDP echo, ``datagrams`` on each flow; a lost one is an error."""
    options = {
        "sessions": flows,
        "concurrency": concurrency,
        "requests": datagrams,
        "pause": pause_s,
        "timeout": timeout_s,
        "limit": limit_s,
    }
    return [
        Session(**_fields(line, "udp")) for line in _results(host, "udp", target, sources, options)
    ]


def transfer(
    host: Host,
    target: str,
    *,
    source: str,
    length: int = TRANSFER_BYTES,
    timeout_s: float = 60.0,
) -> list[Transfer]:
    """A body down, then one up, on a session each, with checksums compared."""
    options = {"size": length, "timeout": timeout_s, "limit": 2 * timeout_s}
    return [
        Transfer(**_fields(line, "tcp"))
        for line in _results(host, "transfer", target, [source], options)
    ]


class HeldSessions:
    """TCP sessions kept open, each asking again and again, for as long as the block runs."""

    def __init__(self, process: Running, *, timeout_s: float) -> None:
        self._process = process
        self._timeout_s = timeout_s
        self._reports: list[Session] | None = None

    def __enter__(self) -> Self:
        """Wait until every session is open or has failed to."""
        try:
            self._process.wait_for('{"ready"', timeout_s=self._timeout_s)
        except BaseException:
            self._process.terminate()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.stop()
        else:
            self._process.terminate()

    def stop(self) -> list[Session]:
        """Close the sessions in order, and say what each saw.  A second call says the same."""
        if self._reports is None:
            self._process.close_stdin()
            self._process.wait(self._timeout_s)
            lines = [line for line in self._process.lines if line.startswith('{"client"')]
            self._reports = [Session(**_fields(json.loads(line), "tcp")) for line in lines]
            self._process.terminate()
        return self._reports


def hold_sessions(  # noqa: PLR0913  (keywords with defaults)
    host: Host,
    target: str,
    *,
    sources: Iterable[str],
    sessions: int | None = None,
    interval_s: float = 0.5,
    concurrency: int = 64,
    timeout_s: float = 5.0,
    limit_s: float = 120.0,
) -> HeldSessions:
    """Open sessions that each send a request every ``interval_s`` until stopped.

    They stop by themselves after ``limit_s``.
    """
    options = {
        "sessions": sessions,
        "concurrency": concurrency,
        "pause": interval_s,
        "timeout": timeout_s,
        "limit": limit_s,
    }
    process = host.popen(
        _command("hold", target, sources, options), title=f"held sessions of {host.name}"
    )
    return HeldSessions(process, timeout_s=4 * timeout_s + _SLACK_S)


def _results(
    host: Host,
    kind: str,
    target: str,
    sources: Iterable[str],
    options: Mapping[str, float | None],
) -> list[dict[str, Any]]:
    limit_s = options["limit"] or 0.0
    done = host.run(_command(kind, target, sources, options), limit_s=limit_s + _SLACK_S)
    if done.returncode:
        raise HostError(f"the clients of {host.name} failed: {done.stderr[-2000:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def _command(
    kind: str, target: str, sources: Iterable[str], options: Mapping[str, float | None]
) -> list[str]:
    settings = [
        f"--{name}={patient(value) if name in _DEADLINES else value}"
        for name, value in options.items()
        if value is not None
    ]
    return python_module(
        _CLIENTS, kind, f"--target={target}", f"--sources={','.join(sources)}", *settings
    )


def _fields(line: Mapping[str, Any], protocol: str) -> dict[str, Any]:
    return {
        **line,
        "protocol": PROTOCOLS[protocol],
        "servers": tuple(line["servers"]),
        "errors": tuple(line["errors"]),
    }
