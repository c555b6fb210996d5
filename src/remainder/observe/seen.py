"""What the process of a node has seen lately: who is silent, and what was counted a minute ago.

Beside the state file, since it changes every few seconds and no start depends on it.
Times are those of the machine's clock that only goes forward (CLOCK_MONOTONIC), which
all its processes share; a reader makes a time of day of them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from remainder.errors import ConfigError
from remainder.flow import address_of
from remainder.kernel.image import OwnerName
from remainder.observe import rundir, state
from remainder.plan import Role

MINUTE_S: Final = 60.0
STALE_S: Final = 2 * MINUTE_S
"""A sample older than this is of a process that has ended."""


class Sample(Struct, frozen=True, kw_only=True):
    """What had been counted at a time."""

    at_s: float
    packets: dict[str, dict[str, int]]
    """service → server → packets"""

    @classmethod
    def of(cls, at_s: float, counted: Mapping[OwnerName, int]) -> Sample:
        """As it is written down."""
        packets: dict[str, dict[str, int]] = {}
        for (service, server), number in counted.items():
            packets.setdefault(service, {})[server] = number
        return cls(at_s=at_s, packets=packets)


class Seen(Struct, frozen=True, kw_only=True):
    """What a role has seen."""

    silent_since_s: dict[str, float] = {}
    """address of a server → since when it is silent"""
    sample: Sample | None = None
    """from about a minute ago, or the first one"""


def path_of(node: str, role: Role) -> Path:
    """Where it is: no state file by its name."""
    return state.RUN / f"{node}@{role}{state.SEEN}"


def read(node: str, role: Role) -> Seen:
    """What was seen; nothing if nobody wrote it down, or another version did."""
    try:
        with rundir.entered(state.RUN) as at:
            found = msgspec.json.decode(rundir.read(at, path_of(node, role).name), type=Seen)
        for text in found.silent_since_s:
            address_of(text)
    except (OSError, ValueError, RecursionError, ConfigError):
        return Seen()
    return found


def write(node: str, role: Role, seen: Seen) -> None:
    """Replace it in one step.  Raises OSError."""
    with rundir.entered(state.RUN) as at:
        rundir.replace(at, path_of(node, role).name, msgspec.json.encode(seen))


def grown(sample: Sample | None, service: str, server: str, packets: int) -> int | None:
    """Packets of a server since the sample; None if it does not know the server."""
    before = (sample.packets if sample else {}).get(service, {}).get(server)
    if before is None:
        return None
    return packets - before if packets >= before else packets  # its counter began anew


def fresh(sample: Sample | None, now_s: float | None = None) -> Sample | None:
    """The sample, if it can stand for the last minute."""
    now_s = time.monotonic() if now_s is None else now_s
    if sample is None or not 0 < now_s - sample.at_s <= STALE_S:
        return None
    return sample


def time_of_day(then_s: float) -> str:
    """ISO 8601, with the offset of the time zone."""
    passed = timedelta(seconds=max(time.monotonic() - then_s, 0.0))
    then = datetime.now().astimezone() - passed
    return then.isoformat(sep=" ", timespec="seconds")
