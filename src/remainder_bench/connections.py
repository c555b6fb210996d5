"""Connections per second: ours beside nftables, HAProxy, and no balancer at all.

Clients, balancer and servers, the kernel's work for them too, share one CPU that is
never idle.  So the time of a connection is the CPU time of all that is done for it, and
what it takes beyond one without a balancer is what the balancer costs.
Rule: a round counts only if every connection was answered.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from remainder.errors import HostError
from remainder_bench import connection_ends
from remainder_bench.connection_planes import PLANES, PORT, VIP, Plane, bed
from remainder_bench.stopwatch import on_one_cpu
from remainder_bench.wire_report import Connections
from remainder_lab import tools

ROUNDS: Final = 5
CONNECTIONS: Final = 256 * connection_ends.BATCH
"""Of a round: 0.3 to 0.7 s."""


def measure(
    names: Sequence[str] = (),
    *,
    rounds: int = ROUNDS,
    told: Callable[[int], None] = lambda _: None,
) -> list[Connections]:
    """Connect through everything in turn, ``rounds`` times.  Needs root; some need nft."""
    laps: dict[str, list[_Lap]] = {name: [] for name in names or available()}
    with on_one_cpu():
        for done in range(1, rounds + 1):
            for name, found in laps.items():
                found.append(_round(PLANES[name]))
            told(done)
    return [
        Connections(
            name=name,
            us=tuple(lap.us for lap in found),
            failed=sum(lap.failed for lap in found),
            packets=sum(lap.packets for lap in found) / rounds,
            idle=sum(lap.idle for lap in found) / rounds,
        )
        for name, found in laps.items()
    ]


def rounds_beside(rounds: int) -> int:
    """How many rounds beside so many of packets: half, as each takes as long and spreads less."""
    return (rounds + 1) // 2


def available() -> list[str]:
    """What can be measured on this machine."""
    return [
        name for name, plane in PLANES.items() if not plane.program or tools.path_of(plane.program)
    ]


def notes() -> list[str]:
    """What is skipped, and the versions of what is not part of the kernel."""
    haproxy = tools.path_of("haproxy")
    if haproxy is None:
        return ["haproxy is not installed; apt install haproxy"]
    return [_version(haproxy)]


@dataclass(frozen=True)
class _Lap:
    us: float
    failed: int
    packets: float
    idle: float


def _round(plane: Plane) -> _Lap:
    with bed(plane) as built, ExitStack() as stack:
        plane.set_up(built, stack)
        server = built.server.popen(_end("server", PORT))
        server.wait_for("ready")
        before = built.received()
        done = built.client.run(
            _end("client", VIP, PORT, CONNECTIONS), limit_s=2 * connection_ends.LIMIT_S
        )
        if done.returncode:
            raise HostError(f"the client exited with {done.returncode}: {done.stderr.strip()}")
        found = json.loads(done.stdout)
        return _Lap(
            us=found["us"],
            failed=CONNECTIONS - found["answered"],
            packets=(built.received() - before) / (CONNECTIONS + connection_ends.WARM_UP + 1),
            idle=found["idle"],
        )


def _end(*arguments: object) -> list[str]:
    # By its path: the package takes longer to import than some of the rounds last.
    return [sys.executable, "-P", connection_ends.__file__, *map(str, arguments)]


def _version(haproxy: str) -> str:
    said = subprocess.run([haproxy, "-v"], capture_output=True, text=True, check=False).stdout
    return said.partition("\n")[0].partition(" - ")[0]
