"""Run a node: one loop that waits for the file, the segment and signals.

Everything that happens arrives in one queue, so nothing happens at once.
"""

from __future__ import annotations

import enum
import queue
import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

from remainder.errors import RemainderError
from remainder.kernel.netlink import Interface, Monitor
from remainder.roles.balancer import BalancerRole

LOOK_S: Final = 0.25
"""How often the file is looked at: a stat, whatever file system or editor it is under."""


class Request(enum.Enum):
    """What the outside asks of a running node."""

    RELOAD = "SIGHUP"
    STOP = "SIGTERM or Ctrl-C"


def serve(role: BalancerRole, ready: Callable[[], None]) -> None:
    """Follow the file and the segment until SIGTERM or Ctrl-C; then return.

    ``ready`` is called when nothing can be missed any more.
    """
    events: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def on_signal(number: int, frame: FrameType | None) -> None:
        del frame
        events.put(Request.RELOAD if number == signal.SIGHUP else Request.STOP)

    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    monitor = Monitor(events)
    try:
        role.look_again()
        ready()
        looked_s = 0.0
        while True:
            if time.monotonic() - looked_s >= LOOK_S:
                if role.wanted.source.changed():
                    _reload(role)
                looked_s = time.monotonic()
            try:
                event = events.get(timeout=LOOK_S)
            except queue.Empty:
                continue
            if event is Request.STOP:
                return
            _handle(role, event)
    finally:
        monitor.close()


def _handle(role: BalancerRole, event: Any) -> None:
    if event is Request.RELOAD:
        _reload(role)
    elif event is None:
        role.look_again()
    elif isinstance(event, Interface):
        role.interface_changed(event)
    else:
        ifindex, neighbour = event
        if ifindex == role.interface.index:
            role.neighbour_changed(neighbour)


def _reload(role: BalancerRole) -> None:
    try:
        role.reload()
    except RemainderError as error:
        role.wanted.warn(f"the new file is refused, the running tables go on: {error}")
    else:
        role.wanted.say(
            f"published {role.wanted.source.path} (tables {role.plan.fingerprint[:12]}, "
            f"publication {role.published})"
        )
