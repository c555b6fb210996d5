"""A network interface that is served by a thread of its own, on a CPU of its own.

A veth has no interrupt: its frames are worked on by whoever sent them.  With
"threaded NAPI" the kernel starts a thread for it, as for a network card under
load, and that thread can be given a CPU.

Rule: it is known by its interface's name, whatever namespace that is in, so the
name must be the only one of its kind on the machine.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from remainder.errors import HostError
from remainder_lab.host import Host
from remainder_lab.patience import patient

WAIT_S: Final = 2.0

SETTINGS: Final = Path("/proc/sys/kernel")


def threaded(host: Host, interface: str, *, cpu: int) -> int:
    """Give an interface a thread; returns its number.  It is gone with the interface.

    Attaching an XDP program makes another thread, so that comes first.
    """
    before = _threads(interface)
    # /sys shows the interfaces of the namespace that mounted it.
    done = host.run(
        ["unshare", "--mount", "sh", "-c", _SWITCH_ON, "sh", f"/sys/class/net/{interface}/threaded"]
    )
    if done.returncode:
        raise HostError(f"cannot enable threaded NAPI on {interface}: {done.stderr.strip()}")
    deadline_s = time.monotonic() + patient(WAIT_S)
    while not (new := _threads(interface) - before):
        if time.monotonic() > deadline_s:
            raise HostError(f"no NAPI thread for {interface} within {patient(WAIT_S):g} s")
        time.sleep(0.01)
    thread = max(new)
    go_first(thread, cpu=cpu)  # as a network card's work does
    return thread


def go_first(task: int, *, cpu: int) -> None:
    """Let a thread or process go before all others on a CPU.  Raises HostError where none may."""
    try:
        os.sched_setaffinity(task, {cpu})
        os.sched_setscheduler(task, os.SCHED_FIFO, os.sched_param(1))
    except OSError as error:
        raise HostError(
            f"cannot set real-time priority on CPU {cpu}: {error.strerror}; "
            f"it requires CAP_SYS_NICE, which a container may lack"
        ) from None


def need_limit() -> None:
    """Raise HostError where a thread that goes first could keep its CPU from everything else."""
    most_us, of_us = (
        int((SETTINGS / f"sched_rt_{name}_us").read_text("ascii")) for name in ("runtime", "period")
    )
    if not 0 <= most_us < of_us:
        raise HostError(
            "real-time tasks may use whole CPUs here, so under a flood nothing else would run; "
            "restore the default limit: sysctl -w kernel.sched_rt_runtime_us=950000"
        )


_SWITCH_ON: Final = 'mount -t sysfs sysfs /sys && echo 1 > "$1"'


@dataclass(frozen=True, slots=True)
class Spent:
    """What a thread did with its time so far."""

    working_s: float
    waiting_s: float
    """for its CPU, on which something else was at work"""

    def since(self, before: Spent) -> Spent:
        """The difference."""
        return Spent(self.working_s - before.working_s, self.waiting_s - before.waiting_s)


def spent(thread: int) -> Spent:
    """Ask the kernel (Documentation/scheduler/sched-stats.rst)."""
    working_ns, waiting_ns, _ = Path(f"/proc/{thread}/schedstat").read_text("ascii").split()
    return Spent(int(working_ns) / 1e9, int(waiting_ns) / 1e9)


def _threads(interface: str) -> set[int]:
    found = set()
    for path in Path("/proc").glob("[0-9]*/comm"):
        try:
            name = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue  # it ended meanwhile
        if name.startswith(f"napi/{interface}-"):
            found.add(int(path.parent.name))
    return found
