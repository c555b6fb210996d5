"""A process of the lab: what it says is kept, and it always ends.

Rule: only processes that the lab started are ever signalled, each by its
process group, first with SIGTERM, after a grace with SIGKILL.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from remainder.errors import HostError
from remainder_lab.patience import patient

MARK: Final = "REMAINDER_LAB"
"""Environment variable that names the namespace a process was started for."""

GRACE_S: Final = 3.0
RELEASE_S: Final = 0.5
LOOK_S: Final = 0.01
KEPT_LINES: Final = 25_000


class ProcessError(HostError):
    """A started process did not do what was awaited; what it said follows."""

    several_lines = True


class Running:
    """A started process, and the lines it has said on stdout and stderr together."""

    def __init__(self, argv: Sequence[str], *, title: str, env: Mapping[str, str]) -> None:
        self.title = title
        self.argv = list(argv)
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._news = threading.Condition()
        self._silent = False
        self._copy: Path | None = None
        self._process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=env,
            # A Ctrl-C at the terminal is for us alone: we end the others in order.
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, name=f"lab {title}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process, and its process group."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    @property
    def lines(self) -> list[str]:
        """What it has said so far (the last 25,000 lines)."""
        with self._news:
            return list(self._lines)

    def poll(self) -> int | None:
        """The return code; None while it runs."""
        return self._process.poll()

    def wait(self, timeout_s: float) -> int:
        """Wait for its end.  Raises HostError if that does not come in time."""
        try:
            code = self._process.wait(patient(timeout_s))
        except subprocess.TimeoutExpired:
            raise ProcessError(
                f"{self.title} still runs after {patient(timeout_s):g} s{self._said()}"
            ) from None
        self._reader.join(RELEASE_S)
        return code

    def wait_for(self, prefix: str, *, timeout_s: float = 10.0) -> str:
        """The first line that starts with the prefix, awaited.

        Raises HostError, with what was said instead, if the process ends or
        the time is over.
        """
        limit_s = patient(timeout_s)
        deadline_s = time.monotonic() + limit_s
        with self._news:
            while True:
                for line in self._lines:
                    if line.startswith(prefix):
                        return line
                left_s = deadline_s - time.monotonic()
                if self._silent or left_s <= 0:
                    break
                self._news.wait(left_s)
        how = "ended" if self._silent else f"did not say {prefix!r} within {limit_s:g} s"
        raise ProcessError(f"{self.title} {how}{self._said()}")

    def copy_to(self, path: Path) -> None:
        """Write to a file what it has said, and whatever it says from now on."""
        with self._news:
            path.write_text("".join(f"{line}\n" for line in self._lines), encoding="utf-8")
            self._copy = path

    def close_stdin(self) -> None:
        """End of input, which makes the lab's own clients stop."""
        with suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()

    def send_signal(self, number: int) -> None:
        """Signal the process itself."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """kill -9, as in a test of what survives it; waits for the end."""
        self._signal_group(signal.SIGKILL)
        self._process.wait()
        self.release()

    def terminate(self, grace_s: float = GRACE_S) -> int:
        """SIGTERM, SIGKILL after the grace; the return code."""
        end([self], grace_s=grace_s)
        return self._process.wait()

    def release(self) -> None:
        """Let go of the pipes of a process that has ended."""
        self.close_stdin()
        # A child of it may hold the other end for longer; the reader then ends with that.
        self._reader.join(RELEASE_S)

    def _signal_group(self, number: int) -> None:
        # Only while we have not waited for it does the number surely mean our process.
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def _read(self) -> None:
        if self._process.stdout is not None:
            with self._process.stdout as said:
                for line in said:
                    with self._news:
                        self._lines.append(line.rstrip("\n"))
                        if self._copy is not None:
                            with suppress(OSError), self._copy.open("a", encoding="utf-8") as copy:
                                copy.write(line)
                        self._news.notify_all()
        with self._news:
            self._silent = True
            self._news.notify_all()

    def _said(self) -> str:
        last = "\n  ".join(self.lines[-20:])
        return f"; it said:\n  {last}" if last else "; it said nothing"


def end(processes: Iterable[Running], *, grace_s: float = GRACE_S) -> None:
    """End processes together: SIGTERM to all, SIGKILL to those left after the grace period."""
    processes = list(processes)
    for process in processes:
        process._signal_group(signal.SIGTERM)  # noqa: SLF001
    deadline_s = time.monotonic() + grace_s
    for process in processes:
        with suppress(HostError):
            process.wait(max(0.0, deadline_s - time.monotonic()))
    for process in processes:
        process.kill()


def end_marked(name: str) -> None:
    """Kill what still carries the mark of a namespace: children of children, or of the dead."""
    deadline_s = time.monotonic() + patient(GRACE_S)
    while marked := _marked(name):
        for pid in marked:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline_s:
            return
        time.sleep(LOOK_S)  # on a busy machine they take a moment to be gone


def _marked(name: str) -> list[int]:
    mark = f"{MARK}={name}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if mark in path.read_bytes().split(b"\0") and int(path.parent.name) != os.getpid():
                found.append(int(path.parent.name))
    return found
