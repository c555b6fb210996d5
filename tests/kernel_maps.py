"""Which maps a program has, asked of the kernel: not of its object file, and not of its pins."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from remainder.kernel import libbpf
from remainder.kernel.bpf_structs import MapInfo, ProgramInfo
from remainder.kernel.libbpf import Map

ARRAY: Final = 2  # enum bpf_map_type
PERCPU_ARRAY: Final = 6

COMMON: Final = {
    ".data.live": ARRAY,
    ".rodata.setting": ARRAY,  # the kernel keeps 15 letters
}
"""Global data: what changes by the control process's stores, and what is fixed at load."""

TABLES: Final = COMMON | {"halves": ARRAY, "outcomes": PERCPU_ARRAY, "servers": PERCPU_ARRAY}
"""Of a program that chooses: nothing else, whatever it is called."""

COUNTERS: Final = frozenset({"outcomes", "servers"})
"""What a packet may write."""

_MOST: Final = 64


class Facts(NamedTuple):
    """What the kernel says of a map."""

    kind: int
    """``enum bpf_map_type``"""

    key_bytes: int
    value_bytes: int
    entries: int
    memory_bytes: int


def facts_of(program_fd: int) -> dict[str, Facts]:
    """Name → facts, for every map that a loaded program can reach."""
    found = {}
    for number in map_ids_of(program_fd):
        with _by_id(number) as (fd, info):
            found[info.name.decode()] = Facts(
                info.type, info.key_size, info.value_size, info.max_entries, _memory_of(fd)
            )
    return found


def contents_of(program_fd: int) -> dict[str, list[bytes]]:
    """Name → every element, for all of its maps that are no counters; none of what is no array."""
    found = {}
    for number in map_ids_of(program_fd):
        with _by_id(number) as (fd, info):
            name = info.name.decode()
            if name not in COUNTERS:
                kernel_map = Map(fd)
                size = info.max_entries if info.type == ARRAY else 0
                found[name] = [kernel_map.lookup(at) for at in range(size)]
    return found


def map_ids_of(program_fd: int) -> list[int]:
    """``nr_map_ids`` and ``map_ids`` of ``struct bpf_prog_info``."""
    numbers = (ctypes.c_uint32 * _MOST)()
    info = ProgramInfo(nr_map_ids=_MOST, map_ids=ctypes.addressof(numbers))
    _ask(program_fd, info)

    assert info.nr_map_ids <= _MOST
    return list(numbers[: info.nr_map_ids])


@contextmanager
def _by_id(number: int) -> Iterator[tuple[int, MapInfo]]:
    fd = libbpf.check(
        libbpf.library().bpf_map_get_fd_by_id(ctypes.c_uint32(number)), f"finding map {number}"
    )
    try:
        info = MapInfo()
        _ask(fd, info)
        yield fd, info
    finally:
        os.close(fd)


def _ask(fd: int, info: Any) -> None:
    size = ctypes.c_uint32(ctypes.sizeof(info))
    libbpf.check(
        libbpf.library().bpf_obj_get_info_by_fd(fd, ctypes.byref(info), ctypes.byref(size)),
        "asking the kernel about an object",
    )


def _memory_of(fd: int) -> int:
    lines = Path(f"/proc/self/fdinfo/{fd}").read_text(encoding="ascii").splitlines()
    (memory,) = (line.split()[1] for line in lines if line.startswith("memlock:"))
    return int(memory)
