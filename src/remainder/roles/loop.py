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

from remainder.errors import HostError, RemainderError
from remainder.kernel.netlink import Gone, Interface
from remainder.roles import notes
from remainder.roles.node import RunningNode

LOOK_S: Final = 0.25
"""How often the file is looked at: a stat, whatever file system or editor it is under."""

TEND_S: Final = 2.0
"""How often ``tended`` is called."""

AGAIN_S: Final = 5.0
"""How often a file is tried again that the host, not the file, was the reason to refuse."""


class Request(enum.Enum):
    """What the outside asks of a running node."""

    RELOAD = "SIGHUP"
    STOP = "SIGTERM or Ctrl-C"


def serve(
    node: RunningNode,
    *,
    ready: Callable[[], None],
    published: Callable[[], None],
    tended: Callable[[], None] = lambda: None,
) -> None:
    """Follow the file and the segment until SIGTERM or Ctrl-C; then return.

    ``ready`` is called when nothing can be missed any more, ``published`` after each new file,
    ``tended`` every few seconds.
    """
    events: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def on_signal(number: int, frame: FrameType | None) -> None:
        del frame
        events.put(Request.RELOAD if number == signal.SIGHUP else Request.STOP)

    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    monitor = node.host.watch(events)
    try:
        _look_again(node)
        ready()
        looked_s = tried_s = 0.0
        tended_s = time.monotonic()
        refusal: str | None = None
        while True:
            if time.monotonic() - looked_s >= LOOK_S:
                node.look_for_losses()
                changed = node.source.changed()
                if changed or (refusal is not None and time.monotonic() - tried_s >= AGAIN_S):
                    refusal = _reload(node, published, said=None if changed else refusal)
                    tried_s = time.monotonic()
                looked_s = time.monotonic()
            if time.monotonic() - tended_s >= TEND_S:
                tended()
                tended_s = time.monotonic()
            try:
                event = events.get(timeout=LOOK_S)
            except queue.Empty:
                continue
            if event is Request.STOP:
                return
            if event is Request.RELOAD or _handle(node, event) is Request.RELOAD:
                refusal, tried_s = _reload(node, published), time.monotonic()
    finally:
        monitor.close()


def _handle(node: RunningNode, event: Any) -> Request | None:
    """Follow what happened; a request if more than that is needed."""
    if event is None:
        _look_again(node)
    elif isinstance(event, Gone):
        for role in node.roles:
            if event.index == role.interface.index:
                raise HostError(
                    f"interface {role.interface.name} disappeared; exiting. Restart once it is "
                    f"back",
                    id="interface-gone",
                )
    elif isinstance(event, Interface):
        asked = [role.interface_changed(event) for role in node.roles]
        return Request.RELOAD if any(asked) else None
    else:
        ifindex, neighbour = event
        for role in node.roles:
            if ifindex == role.interface.index:
                role.neighbour_changed(neighbour)
    return None


def _look_again(node: RunningNode) -> None:
    for role in node.roles:
        role.look_again()


def _reload(
    node: RunningNode, published: Callable[[], None], *, said: str | None = None
) -> str | None:
    """Publish the file.  If it is refused for what the host is like, why; else None.

    ``said`` is a refusal that need not be told once more.
    """
    try:
        node.reload()
    except RemainderError as error:
        if str(error) != said:
            node.wanted.warn(
                f"new file rejected, still running the previous one: {error}", id="file-rejected"
            )
            for role in node.roles:
                role.note_refused(notes.refused(error))
        return str(error) if isinstance(error, HostError) else None
    else:
        for role in node.roles:
            node.wanted.say(
                f"published {node.wanted.file} ({role.role} tables {role.plan.fingerprint[:12]}, "
                f"publication {role.published})"
            )
        published()
        return None
