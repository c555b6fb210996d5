"""The service manager is told how the process is: ready, alive, what it does, stopping.

sd_notify(3): a datagram of ``NAME=VALUE`` lines to the socket in $NOTIFY_SOCKET.  It is
small enough to be written here: systemd-python needs libsystemd and a compiler, and
sdnotify (last released in 2017) waits for a manager that does not read.
Rule: nothing here fails, and nothing waits for longer than WAIT_S.  Whoever does not run
under systemd tells nobody.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, MutableMapping
from typing import Final

from remainder.printable import printable

MOST_OF_A_STATUS: Final = 200
"""Characters of a status line, which ``systemctl status`` shows on one line."""

WAIT_S: Final = 1.0
"""How long what is told once waits for room in the queue; what is told again does not wait."""

PER_DEADLINE: Final = 4
"""How often the watchdog hears of us before it would lose patience."""


class Notify:
    """Whom to tell; made by ``from_environment``, or of nothing, and then it tells nobody."""

    def __init__(
        self,
        address: str | None = None,
        *,
        watchdog_s: float | None = None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address = _written(address)
        self._socket: socket.socket | None = None
        self._now_s = now_s
        self._told_s: float | None = None
        self._status: str | None = None
        self.watchdog_s = watchdog_s
        """How long the service manager waits for ``watchdog`` before it restarts us."""

    @classmethod
    def from_environment(cls, environment: MutableMapping[str, str] = os.environ) -> Notify:
        """Whom the service manager named, which is taken out: it is not for our children."""
        address = environment.pop("NOTIFY_SOCKET", None)
        deadline_us = environment.pop("WATCHDOG_USEC", "")
        process = environment.pop("WATCHDOG_PID", str(os.getpid()))
        is_meant = process == str(os.getpid()) and deadline_us.isdecimal() and int(deadline_us) > 0
        return cls(address, watchdog_s=int(deadline_us) / 1e6 if is_meant else None)

    @property
    def listens(self) -> bool:
        """Whether there is anybody to tell."""
        return self._address is not None

    def ready(self) -> None:
        """It runs; at the start, and after each ``reloading``."""
        self._tell("READY=1", wait_s=WAIT_S)

    def reloading(self) -> None:
        """It reads its file; ``ready`` says when that is over, whatever came of it."""
        now_us = time.monotonic_ns() // 1000
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={now_us}", wait_s=WAIT_S)

    def stopping(self) -> None:
        """It ends because it was asked to."""
        self._tell("STOPPING=1", wait_s=WAIT_S)

    def status(self, text: str) -> None:
        """What it does, in one line; told only if it is news."""
        line = printable(text, MOST_OF_A_STATUS)
        if line != self._status and self._tell(f"STATUS={line}"):
            self._status = line

    def watchdog(self) -> None:
        """It is alive; call it as often as you like, it is told a few times per deadline."""
        if self.watchdog_s is None:
            return
        now_s = self._now_s()
        if self._told_s is None or now_s - self._told_s >= self.watchdog_s / PER_DEADLINE:
            self._told_s = now_s
            self._tell("WATCHDOG=1")

    def _tell(self, message: str, *, wait_s: float = 0) -> bool:
        """Whether it was told: somebody may be there, or nobody, or its queue is full."""
        if self._address is None:
            return False
        try:
            if self._socket is None:
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.settimeout(wait_s)
            self._socket.sendto(message.encode(errors="replace"), self._address)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Tell nobody any more."""
        self._address = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _written(address: str | None) -> str | None:
    """``@name`` stands for the abstract socket of that name; anything but a path is not for us."""
    if not address or address[0] not in "/@" or len(address) < 2:
        return None
    return "\0" + address[1:] if address[0] == "@" else address
