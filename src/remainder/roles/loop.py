"""Run a node: one loop that waits for the file, the host and signals.

Everything that happens arrives in one queue, so nothing happens at once.  But
for reading the file, which may take long and touches nothing that runs.

Law: level, not edge.  An event only makes the loop look; it looks anyway.
"""

from __future__ import annotations

import enum
import queue
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Final

from remainder.errors import HostError, RemainderError
from remainder.kernel.monitor import Learned, Touched
from remainder.observe.notify import Notify
from remainder.roles import notes
from remainder.roles.node import Read, RunningNode

LOOK_S: Final = 0.25
"""How often the file and the pins are looked at: a stat or two, whatever file system it is."""

TEND_S: Final = 5.0
"""How often the whole host is read, though nothing seems to have happened."""

WATCH_S: Final = 2.0
"""How often ``watch`` is called, at most."""

AGAIN_S: Final = 5.0
"""How often a file is tried again that the host, not the file, was the reason to refuse."""

SHARE: Final = 20
"""A look may take a 20th of the time: thousands of neighbours are read less often."""

PATIENCE: Final = 4
"""Doublings of ``LOOK_S`` between two looks that found something to mend: somebody may fight us."""


class Request(enum.Enum):
    """What the outside asks of a running node."""

    RELOAD = "SIGHUP"
    STOP = "SIGTERM or Ctrl-C"


@dataclass(frozen=True)
class _FileRead:
    """A file was read, or why not."""

    result: Read | Exception


def before_start() -> None:
    """Until there is a loop: SIGTERM ends a start like Ctrl-C, SIGHUP has nothing to reload."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def serve(
    node: RunningNode,
    *,
    ready: Callable[[], None],
    published: Callable[[], None],
    watch: Callable[[], None] = lambda: None,
    notify: Notify | None = None,
) -> None:
    """Follow the file and the host until SIGTERM or Ctrl-C; then return.

    ``ready`` is called when nothing can be missed any more, ``published`` after each new file,
    ``watch`` every few seconds.  ``notify`` is the service manager, which hears of the first two.
    """
    notify = notify or Notify()
    events: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def on_signal(number: int, frame: FrameType | None) -> None:
        del frame
        events.put(Request.RELOAD if number == signal.SIGHUP else Request.STOP)

    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    monitor = node.host.watch(events)
    try:
        loop = Loop(node, events, published, watch=watch, notify=notify)
        loop.look()
        ready()
        notify.status(_status(node))
        notify.ready()
        loop.run()
        notify.stopping()
    finally:
        monitor.close()


@dataclass
class Loop:
    """What the loop knows between two passes."""

    node: RunningNode
    events: queue.SimpleQueue[Any]
    published: Callable[[], None]
    notify: Notify = field(default_factory=Notify)
    watch: Callable[[], None] = lambda: None
    watch_s: float = 0.0
    """When to call it again."""
    touched: bool = False
    """Something has happened that a look may find."""
    mended: int = 0
    """Looks in a row that found something to mend."""
    look_s: float = 0.0
    """When to look, whatever happens."""
    not_before_s: float = 0.0
    pass_s: float = 0.0
    reading: bool = False
    asked: bool = False
    """A reload was asked for, whether the file has changed or not."""
    asked_again: bool = False
    """SIGHUP came while the file was being read."""
    refused: Read | None = None
    """A file that the host refuses, to be tried again."""
    said: str | None = None
    tried_s: float = 0.0
    clock: Callable[[], float] = field(default=time.monotonic)

    def run(self) -> None:
        """Until it is asked to stop."""
        while True:
            self.passes()
            self.notify.status(_status(self.node))
            self.notify.watchdog()
            try:
                event = self.events.get(timeout=LOOK_S)
            except queue.Empty:
                continue
            if self.handle(event) is Request.STOP:
                return

    def passes(self) -> None:
        """Look at what is due; at most once in ``LOOK_S``."""
        now_s = self.clock()
        if now_s < self.pass_s:
            return
        self.pass_s = now_s + LOOK_S
        self.node.do_what_is_due()
        restless = not self.node.glance() or self.touched
        if now_s >= self.look_s or (restless and now_s >= self.not_before_s):
            self.look()
        if now_s >= self.watch_s:
            self.watch()
            self.watch_s = now_s + max(WATCH_S, SHARE * (self.clock() - now_s))
        if self.reading:
            return
        if self.node.source.changed():
            self._read()
        elif self.refused is not None and now_s - self.tried_s >= AGAIN_S:
            self._publish(self.refused, said=self.said)

    def look(self) -> None:
        """Read what stands, mend what differs."""
        mended, fought, began_s = self.node.mended, self.node.fought, self.clock()
        at_peace = self.node.tend()
        now_s = self.clock()
        again = self.node.fought != fought or not at_peace
        self.mended = self.mended + 1 if again else int(self.node.mended != mended)
        self.touched = self.mended > 0  # once more: somebody fights us, or it was an accident
        self.not_before_s = now_s + (
            LOOK_S * 2 ** min(self.mended - 1, PATIENCE) if self.mended else 0
        )
        self.look_s = now_s + max(TEND_S, SHARE * (now_s - began_s))

    def handle(self, event: Any) -> Request | None:
        """Take note of what happened."""
        match event:
            case Request.STOP:
                return Request.STOP
            case Request.RELOAD:
                self.asked = self.asked or not self.reading
                self._read()
            case _FileRead():
                self.reading = False
                if self.asked or not self._is_known(event.result):
                    self._publish(event.result)
                self.asked = False
                self.notify.status(_status(self.node))
                self.notify.ready()
                if self.asked_again:
                    self.asked_again, self.asked = False, True
                    self._read()
            case Learned():
                self._learn(event)
            case Touched():
                self.touched = self.touched or any(
                    role.concerns(event.index) for role in self.node.roles
                )
        return None

    def _learn(self, event: Learned) -> None:
        """The MAC of a neighbour is followed at once."""
        for role in self.node.roles:
            if event.index != role.interface.segment:
                continue
            if event.deleted:
                self.touched = self.touched or role.needs(event.neighbour.address)
            else:
                role.neighbour_changed(event.neighbour)

    def _is_known(self, read: Read | Exception) -> bool:
        """Whether a file was only touched, and is what runs."""
        refused = self.refused is not None or any(role.refused for role in self.node.roles)
        return isinstance(read, Read) and read.is_same and not refused

    def _read(self) -> None:
        if self.reading:
            self.asked_again = True
            return
        self.reading = True
        self.notify.reloading()
        try:
            threading.Thread(target=self._read_aside, name="file", daemon=True).start()
        except RuntimeError:  # no thread to be had
            self._read_aside()

    def _read_aside(self) -> None:
        try:
            self.events.put(_FileRead(self.node.read()))
        except Exception as error:  # noqa: BLE001  (told by the loop; a thread has nobody to tell)
            self.events.put(_FileRead(error))

    def _publish(self, read: Read | Exception, *, said: str | None = None) -> None:
        """Publish a file.  If it is refused for what the host is like, it is tried again.

        ``said`` is a refusal that need not be told once more.
        """
        node, self.tried_s = self.node, self.clock()
        try:
            if isinstance(read, Exception):
                raise read
            node.publish(read)
        except (RemainderError, OSError) as error:
            sentence = notes.sentence_of(error)
            if sentence != said:
                node.wanted.warn(
                    f"new file rejected, still running the previous one: {sentence}",
                    id="file-rejected",
                )
                for role in node.roles:
                    role.note_refused(notes.refused(sentence))
            hosts_fault = isinstance(error, (HostError, OSError))
            self.refused = read if hosts_fault and isinstance(read, Read) else None
            self.said = sentence
        else:
            self.refused = self.said = None
            for role in node.roles:
                node.wanted.say(
                    f"published {node.wanted.file} ({role.role} tables "
                    f"{role.plan.fingerprint[:12]}, publication {role.published})"
                )
            self.published()


def _status(node: RunningNode) -> str:
    """What the service manager shows beside the process."""
    running = ", ".join(
        f"{role.role} on {role.interface.name}, tables {role.plan.fingerprint[:12]}"
        for role in node.roles
    )
    gone = next((role.interface.name for role in node.roles if role.gone), None)
    trouble = next((role.trouble for role in node.roles if role.trouble), None)
    refused = next((role.refused.sentence for role in node.roles if role.refused), None)
    if gone is not None:
        return f"interface {gone} disappeared; waiting for it"
    if trouble is not None:
        return f"the host refuses: {trouble}; trying again"
    return f"file rejected, still running the previous one: {refused}" if refused else running
