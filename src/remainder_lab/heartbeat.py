"""How long was a service away?  A steady stream of datagrams tells.

One datagram leaves every few milliseconds for each target, and its echo is
awaited by nobody.  An interruption is the time between the sending of two
answered datagrams that have unanswered ones between them: a clock that neither
a busy receiver nor a retransmission can bend.
"""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from itertools import pairwise
from types import TracebackType
from typing import Final, Self

from remainder.flow import parse_endpoint
from remainder_lab.host import Host
from remainder_lab.patience import patient

INTERVAL_S: Final = 0.005
ECHO_S: Final = 0.2
"""How long an echo may take, at most."""


class Heartbeat:
    """Sends from a host to ``ADDRESS:PORT`` of each IP version, for as long as its block runs."""

    def __init__(self, host: Host, targets: Mapping[int, str]) -> None:
        self._host = host
        self._targets = targets
        self._sockets: dict[int, socket.socket] = {}
        self._sent_s: list[float] = []
        self._answered: dict[int, set[int]] = {version: set() for version in targets}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for version, target in self._targets.items():
                opened = stack.enter_context(self._host.call(_connected, target))
                self._sockets[version] = opened
            self._stack = stack.pop_all()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._stack.close()

    def interruptions_s(self, begun_s: float, ended_s: float) -> dict[int, float]:
        """IP version → the longest interruption between two moments of ``time.monotonic``.

        0 if every datagram was answered, infinite if it had no end.  Waits for late echoes.
        """
        time.sleep(max(0.0, ended_s + patient(ECHO_S) - time.monotonic()))
        return {version: self._longest_s(version, begun_s, ended_s) for version in self._targets}

    def _longest_s(self, version: int, begun_s: float, ended_s: float) -> float:
        numbers = sorted(self._answered[version])
        if not numbers or self._sent_s[numbers[-1]] < ended_s - patient(ECHO_S):
            return math.inf
        return max(
            (
                self._sent_s[after] - self._sent_s[before]
                for before, after in pairwise(numbers)
                if after - before > 1
                and self._sent_s[after] > begun_s
                and self._sent_s[before] < ended_s
            ),
            default=0.0,
        )

    def _beat(self) -> None:
        while not self._stop.wait(INTERVAL_S):
            number = len(self._sent_s)
            self._sent_s.append(time.monotonic())
            for version, opened in self._sockets.items():
                with suppress(OSError):  # what cannot be sent is not answered
                    opened.send(b"%d" % number)
                self._listen(version, opened)

    def _listen(self, version: int, opened: socket.socket) -> None:
        while True:
            try:
                _, _, echoed = opened.recv(64).partition(b" ")
            except BlockingIOError:
                return
            except OSError:
                continue  # an ICMP error; reading has cleared it
            self._answered[version].add(int(echoed))


def _connected(target: str) -> socket.socket:
    """A socket of the current namespace; the caller closes it."""
    address, port = parse_endpoint(target)
    opened = socket.socket(
        socket.AF_INET if address.version == 4 else socket.AF_INET6,
        socket.SOCK_DGRAM | socket.SOCK_NONBLOCK,
    )
    opened.connect((str(address), port))
    return opened
