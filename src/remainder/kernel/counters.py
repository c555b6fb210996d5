"""What the data plane counted: outcomes and packets per server.

Law: outcomes sum to the packets seen.
Twin: bpf/count.h.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from remainder.kernel import abi
from remainder.kernel.image import OwnerName
from remainder.kernel.libbpf import Map, possible_cpus
from remainder.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Count:
    """Packets and bytes (whole frames, without the Ethernet checksum)."""

    packets: int = 0
    bytes: int = 0


def read(counters: Map, at: int) -> Count:
    """One counter, summed over CPUs."""
    data = counters.lookup(at, counters.value_size * possible_cpus())
    per_cpu = np.frombuffer(data, dtype=abi.COUNT)
    return Count(int(per_cpu["packets"].sum()), int(per_cpu["bytes"].sum()))


def write(counters: Map, at: int, count: Count = Count()) -> None:
    """Set a counter, all of it on the first CPU."""
    per_cpu = np.zeros(possible_cpus(), dtype=abi.COUNT)
    per_cpu[0] = (count.packets, count.bytes)
    counters.update(at, per_cpu.tobytes())


def outcomes(maps: Mapping[str, Map]) -> dict[Outcome, Count]:
    """How often each outcome was; 0 for one that the program, of another build, does not know."""
    known = maps["outcomes"].max_entries
    return {
        outcome: read(maps["outcomes"], at) if at < known else Count()
        for at, outcome in enumerate(abi.OUTCOMES)
    }


def servers(maps: Mapping[str, Map], names: Mapping[OwnerName, int]) -> dict[OwnerName, Count]:
    """What each server was sent."""
    counters, size = maps["servers"], maps["servers"].value_size * possible_cpus()
    data = b"".join(counters.lookup(at, size) for at in names.values())
    per_cpu = np.frombuffer(data, dtype=abi.COUNT).reshape(len(names), possible_cpus())
    packets, bytes_ = (per_cpu[field].sum(axis=1).tolist() for field in ("packets", "bytes"))
    return dict(zip(names, map(Count, packets, bytes_), strict=True))
