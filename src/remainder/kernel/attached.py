"""Is the program of a pinned link attached?  For keepalived, which asks every second.

Run as a file, ``python -I -S attached.py PIN``, it imports nothing of Remainder, and
costs some 20 ms of a processor.  Exit code 0: attached; 1: not, or nobody knows.

Rule: the link itself is asked.  A pin outlives what it names.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

_BPF = {"x86_64": 321, "aarch64": 280, "riscv64": 280}
_OBJ_GET = 7
_OBJ_GET_INFO_BY_FD = 15
_INFO_BYTES = 64
_IFINDEX_AT = 16
"""In ``struct bpf_link_info``, of an XDP link and of a tcx link alike."""


def ifindex_of(path: str) -> int:
    """The interface on which a pinned link runs its program; 0: on none.

    Raises OSError if there is no such pin, or it is not ours to read.
    """
    name = ctypes.create_string_buffer(os.fsencode(path))
    fd = _bpf(_OBJ_GET, struct.pack("<QII", ctypes.addressof(name), 0, 0))
    try:
        info = ctypes.create_string_buffer(_INFO_BYTES)
        _bpf(_OBJ_GET_INFO_BY_FD, struct.pack("<IIQ", fd, _INFO_BYTES, ctypes.addressof(info)))
        return int.from_bytes(info.raw[_IFINDEX_AT : _IFINDEX_AT + 4], sys.byteorder)
    finally:
        os.close(fd)


def command_for(path: str) -> str:
    """The command line that asks, of absolute paths without links: keepalived wants them root's."""
    return f"{os.path.realpath(sys.executable)} -I -S {os.path.realpath(__file__)} {path}"


def _bpf(command: int, attributes: bytes) -> int:
    call = ctypes.CDLL(None, use_errno=True).syscall
    given = ctypes.create_string_buffer(attributes, len(attributes))
    result: int = call(_BPF[os.uname().machine], command, given, len(attributes))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


if __name__ == "__main__":
    try:
        sys.exit(0 if ifindex_of(sys.argv[1]) else 1)
    except OSError as error:
        sys.exit(f"{sys.argv[1]}: {error.strerror}")
