"""Clients during a SYN flood, for one data plane after the other.

A thread on a CPU of its own works on the balancer's queue; flood, clients and
servers have another, in which the flood comes last.  A new bed for every level:
nothing of one flood is left in the next.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from remainder.errors import HostError
from remainder.flow import Flow
from remainder_bench.flood_bed import CLIENTS, PLANES, PORT, SETTLE_S, VIP, Bed, bed, need_tools
from remainder_bench.flood_programs import syn_of
from remainder_bench.flood_report import Level
from remainder_bench.napi import go_first, need_limit, spent, threaded
from remainder_lab import Running
from remainder_lab.host import python_module

PER_S: Final = (0, 100_000, 200_000, 400_000, 1_000_000)
SECONDS: Final = 6.0

TRIES: Final = 3
"""A level that other work disturbed is taken again."""

SESSIONS: Final = 50
PAUSE_S: Final = 0.25
NEW_PER_S: Final = 200
ANSWER_S: Final = 1.0
"""A SYN is sent again after a second: who is served by then needed no second one."""

_PATIENCE_S: Final = 20.0
_FIRST_SOURCE: Final = ip_address("198.18.0.0")
_BEFORE_OTHERS: Final = -20
"""A nice value."""


@dataclass(frozen=True, slots=True)
class Cpus:
    """Who works where."""

    balancer: int
    clients: int
    flood: int


def measure(
    names: Sequence[str] = (),
    *,
    rates: Sequence[int] = PER_S,
    seconds: float = SECONDS,
    told: Callable[[int], None] = lambda _: None,
) -> list[Level]:
    """Flood every data plane at every rate.  Needs root and two CPUs; some need nft."""
    names = names or list(PLANES)
    need_tools(names)
    need_limit()
    cpus = cpus_of(os.sched_getaffinity(0))
    levels: list[Level] = []
    for per_s in rates:
        for name in names:
            levels.append(_undisturbed(name, per_s, seconds, cpus))
            told(len(levels))
    return levels


def cpus_of(allowed: Collection[int]) -> Cpus:
    """Clients share the flood's CPU unless there are three.  Raises HostError for a single one."""
    numbers = sorted(allowed)
    if len(numbers) < 2:
        raise HostError(
            f"a flood needs two CPUs, one for the balancer and one for the rest, "
            f"but this process may use only {len(numbers)}; give it more"
        )
    return Cpus(balancer=numbers[0], clients=numbers[1], flood=numbers[-1])


def _undisturbed(name: str, per_s: int, seconds: float, cpus: Cpus) -> Level:
    """The first try that had its CPU to itself, else the one that had it most."""
    tried: list[Level] = []
    while not tried or (tried[-1].disturbed and len(tried) < TRIES):
        tried.append(_level(name, per_s, seconds, cpus))
    return min(tried, key=lambda level: level.waited)


def _level(name: str, per_s: int, seconds: float, cpus: Cpus) -> Level:
    with bed(cpus.clients) as built, ExitStack() as stack:
        look = PLANES[name](built, stack)
        thread = threaded(built.balancer, built.queue, cpu=cpus.balancer)
        clients = _clients(built, seconds, cpus.clients)
        flood = _flood(built, per_s, seconds, cpus.flood) if per_s else None
        if flood:
            # While it sends, the kernel lets nobody remove the interface.
            stack.callback(flood.terminate)
        before, stopped, idle = look(), built.dam.packets(), spent(thread)
        begun_s = time.monotonic()
        if flood:
            flood.close_stdin()
            time.sleep(SETTLE_S)
        clients.close_stdin()
        clients.wait(seconds + ANSWER_S + _PATIENCE_S)
        took_s, worked, after = time.monotonic() - begun_s, spent(thread).since(idle), look()
        sent = _sent(flood)
        time.sleep(SETTLE_S)
        return Level(
            plane=name,
            per_s=per_s,
            sent=sent["packets"],
            sent_per_s=sent["packets"] / sent["took_s"],
            forwarded=built.dam.packets() - stopped,
            sessions=SESSIONS,
            wanted=round(seconds * NEW_PER_S),
            busy=worked.working_s / took_s,
            waited=worked.waiting_s / took_s,
            before=before,
            after=after,
            **_result(clients),
        )


def _clients(built: Bed, seconds: float, cpu: int) -> Running:
    process = built.hosts["clients"].popen(
        python_module(
            "remainder_bench.steady",
            f"--target={VIP}:{PORT}",
            f"--sources={','.join(CLIENTS)}",
            f"--sessions={SESSIONS}",
            f"--pause={PAUSE_S}",
            f"--new={NEW_PER_S}",
            f"--timeout={ANSWER_S}",
            f"--seconds={seconds}",
        ),
        title="the clients",
    )
    process.wait_for("ready")
    go_first(process.pid, cpu=cpu)
    return process


def _flood(built: Bed, per_s: int, seconds: float, cpu: int) -> Running:
    clients, balancer = (
        host.mac_bytes(interface)
        for host, interface in ((built.hosts["clients"], "eth0"), (built.balancer, built.queue))
    )
    flow = Flow(_FIRST_SOURCE, 1024, ip_address(VIP), PORT, 6)
    frame = syn_of(flow, source_mac=clients, destination_mac=balancer)
    process = built.switch.host.popen(
        python_module(
            "remainder_bench.strangers",
            "--interface=balancer",
            f"--frame={frame.hex()}",
            f"--per-second={per_s}",
            f"--limit={seconds + _PATIENCE_S}",
        ),
        title="the flood",
    )
    process.wait_for("ready")
    os.sched_setaffinity(process.pid, {cpu})
    os.setpriority(os.PRIO_PROCESS, process.pid, _BEFORE_OTHERS)
    # Where the kernel shares its time out by sessions, this is what counts.
    with suppress(OSError):
        Path(f"/proc/{process.pid}/autogroup").write_text(str(_BEFORE_OTHERS), encoding="ascii")
    return process


def _sent(flood: Running | None) -> dict[str, Any]:
    if flood is None:
        return {"packets": 0, "took_s": 1.0}
    flood.terminate()
    return _result(flood)


def _result(process: Running) -> dict[str, Any]:
    """What a process told in its last line."""
    if process.returncode != 0:
        raise HostError(f"{process.title} failed: {' / '.join(process.lines[-3:])}")
    found: dict[str, Any] = json.loads(process.lines[-1])
    return found
