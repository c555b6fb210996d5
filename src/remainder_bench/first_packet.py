"""When does a service answer for the first time?  Asked from inside a namespace."""

from __future__ import annotations

import socket
import time
from typing import Final

from remainder.errors import HostError

PAUSE_S: Final = 0.005
LIMIT_S: Final = 20.0


def first_answer_at_s(address: str, port: int) -> float:
    """Ask a UDP echo every few milliseconds until it answers; the monotonic time of that."""
    deadline_s = time.monotonic() + LIMIT_S
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(PAUSE_S)
        while time.monotonic() < deadline_s:
            try:
                asking.sendto(b"?", (address, port))
                asking.recv(64)
            except OSError:
                continue
            return time.monotonic()
    raise HostError(f"no answer from {address} port {port} within {LIMIT_S:g} s")
