"""A thin binding to the system's libbpf: what Remainder needs of it, nothing more.

Rule: errors become HostError with the verifier's or the kernel's own words;
struct layouts used here are the kernel's stable user API (linux/bpf.h).
"""

from __future__ import annotations

import ctypes
import functools
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from remainder.errors import HostError, Unsupported
from remainder.kernel import refusal
from remainder.kernel.bpf_structs import (
    LinkCreateOpts,
    LinkInfo,
    MapInfo,
    ProgramInfo,
    TestRunOpts,
    XdpMd,
)

XDP: Final = 37  # enum bpf_attach_type
TCX_INGRESS: Final = 46
TCX_EGRESS: Final = 47
XDP_FLAGS: Final = {"native": 1 << 2, "generic": 1 << 1}
_LOG_BYTES: Final = 1 << 20
_LIVE_FRAMES: Final = 1 << 1  # BPF_F_TEST_XDP_LIVE_FRAMES
_XDP_HAS_FRAGS: Final = 1 << 5  # BPF_F_XDP_HAS_FRAGS
_MAX_ERRNO: Final = 4095
_LINK_TYPE_XDP: Final = 6  # enum bpf_link_type


_POINTERS: Final = (
    "bpf_object__open_file",
    "bpf_object__find_map_by_name",
    "bpf_object__find_program_by_name",
    "bpf_object__next_program",
    "bpf_object__btf",
    "btf__raw_data",
)


@functools.cache
def library() -> ctypes.CDLL:
    """libbpf, loaded once.  Raises Unsupported if it is not installed or too old."""
    try:
        libbpf = ctypes.CDLL("libbpf.so.1", use_errno=True)
    except OSError:
        raise Unsupported(
            "libbpf.so.1 is not installed; `apt install libbpf1` (Debian 12, Ubuntu 24.04 or newer)"
        ) from None
    for name in _POINTERS:
        getattr(libbpf, name).restype = ctypes.c_void_p
    libbpf.bpf_program__name.restype = ctypes.c_char_p
    libbpf.libbpf_set_print.restype = ctypes.c_void_p
    libbpf.libbpf_set_print(None)  # its log goes to stderr otherwise; errors carry what matters
    return libbpf


def check(result: int, what: str) -> int:
    """Pass a result on; a negative one becomes a HostError."""
    if result >= 0:
        return int(result)
    number = -result if result < -1 and -result <= _MAX_ERRNO else ctypes.get_errno()
    raise refusal.failure(number, what)


def errno_of(error: HostError) -> int:
    """The kernel's error number behind a HostError; 0 if there is none."""
    return error.errno


class Map:
    """A map by its descriptor."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        info = MapInfo()
        _object_info(fd, info, "reading a map's size")
        self.key_size: int = info.key_size
        self.value_size: int = info.value_size
        self.max_entries: int = info.max_entries
        self.map_id: int = info.id

    def lookup(self, key: int, size: int | None = None) -> bytes:
        """The value of an array element; ``size`` bytes of it (per-CPU maps hold more)."""
        buffer = ctypes.create_string_buffer(size or self.value_size)
        index = ctypes.c_uint32(key)
        check(
            library().bpf_map_lookup_elem(self.fd, ctypes.byref(index), buffer),
            f"reading element {key} of a map",
        )
        return buffer.raw

    def update(self, key: int, value: bytes) -> None:
        """Write an array element."""
        index = ctypes.c_uint32(key)
        check(
            library().bpf_map_update_elem(self.fd, ctypes.byref(index), value, ctypes.c_uint64(0)),
            f"writing element {key} of a map",
        )

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self.fd)


class Object:
    """A BPF object file on its way into the kernel."""

    def __init__(self, path: Path) -> None:
        self._bpf = library()
        if not path.exists():
            raise Unsupported(
                f"{path} is missing: the data plane was not compiled; reinstall Remainder with "
                f"clang and libbpf-dev present"
            )
        pointer = self._bpf.bpf_object__open_file(str(path).encode(), None)
        if not pointer:
            raise refusal.failure(ctypes.get_errno(), f"opening {path.name}")
        self._pointer = ctypes.c_void_p(pointer)
        self._path = path

    def _map(self, name: str) -> ctypes.c_void_p:
        pointer = self._bpf.bpf_object__find_map_by_name(self._pointer, name.encode())
        if not pointer:
            raise HostError(f"{self._path.name} has no map {name}; reinstall Remainder")
        return ctypes.c_void_p(pointer)

    def resize(self, name: str, entries: int) -> None:
        """Set a map's size before load."""
        check(
            self._bpf.bpf_map__set_max_entries(self._map(name), ctypes.c_uint32(entries)),
            f"sizing map {name} to {entries}",
        )

    def widen(self, name: str, value_bytes: int) -> None:
        """Set the size of a map's values before load."""
        check(
            self._bpf.bpf_map__set_value_size(self._map(name), ctypes.c_uint32(value_bytes)),
            f"sizing the values of map {name} to {value_bytes} bytes",
        )

    def set_data(self, section: str, value: bytes) -> None:
        """Give a data section its first content before load."""
        check(
            self._bpf.bpf_map__set_initial_value(
                self._map(section), value, ctypes.c_size_t(len(value))
            ),
            f"setting {section}",
        )

    def reuse(self, name: str, fd: int) -> None:
        """Use a map that exists already instead of making one."""
        check(self._bpf.bpf_map__reuse_fd(self._map(name), fd), f"reusing map {name}")

    def take_buffers(self, program: str) -> None:
        """Let a driver hand an XDP program frames of several buffers, where it can (Linux 5.18)."""
        pointer = self._program(program)
        self._bpf.bpf_program__flags.restype = ctypes.c_uint32
        flags = self._bpf.bpf_program__flags(pointer) | _XDP_HAS_FRAGS
        check(
            self._bpf.bpf_program__set_flags(pointer, ctypes.c_uint32(flags)),
            f"setting the flags of {program}",
        )

    def load(self, program: str) -> None:
        """Verify and load.  Raises HostError, with the verifier's words if it was that."""
        self._program(program)
        logs = {}
        for name, pointer in self._programs():
            logs[name] = log = ctypes.create_string_buffer(_LOG_BYTES)
            self._bpf.bpf_program__set_log_buf(pointer, log, ctypes.c_size_t(_LOG_BYTES))
        result = self._bpf.bpf_object__load(self._pointer)
        if result >= 0:
            return
        for name, log in logs.items():
            if log.value:  # it stays empty where the verifier accepts, or was not reached
                said = log.value.decode(errors="replace")
                raise refusal.rejected(name, said, refusal.compiler_of(self._path.read_bytes()))
        check(result, f"loading {self._path.name}{refusal.on_old_kernel(platform.release())}")

    def _programs(self) -> Iterator[tuple[str, ctypes.c_void_p]]:
        pointer = self._bpf.bpf_object__next_program(self._pointer, None)
        while pointer:
            at = ctypes.c_void_p(pointer)
            yield self._bpf.bpf_program__name(at).decode(), at
            pointer = self._bpf.bpf_object__next_program(self._pointer, at)

    def _program(self, name: str) -> ctypes.c_void_p:
        pointer = self._bpf.bpf_object__find_program_by_name(self._pointer, name.encode())
        if not pointer:
            raise HostError(f"{self._path.name} has no program {name}; reinstall Remainder")
        return ctypes.c_void_p(pointer)

    def program_fd(self, name: str) -> int:
        """A descriptor of a loaded program, the caller's to close."""
        return os.dup(self._bpf.bpf_program__fd(self._program(name)))

    def map(self, name: str) -> Map:
        """A loaded map, the caller's to close."""
        return Map(os.dup(self._bpf.bpf_map__fd(self._map(name))))

    def btf(self) -> bytes:
        """The object's type information, raw."""
        pointer = self._bpf.bpf_object__btf(self._pointer)
        size = ctypes.c_uint32()
        data = self._bpf.btf__raw_data(ctypes.c_void_p(pointer), ctypes.byref(size))
        return ctypes.string_at(data, size.value)

    def close(self) -> None:
        """Free the object; what was loaded lives on by its descriptors and pins."""
        self._bpf.bpf_object__close.restype = None
        self._bpf.bpf_object__close(self._pointer)


@contextmanager
def opened(path: Path) -> Iterator[Object]:
    """An object file, closed at the end."""
    opened_object = Object(path)
    try:
        yield opened_object
    finally:
        opened_object.close()


def _object_info(fd: int, info: Any, what: str) -> None:
    size = ctypes.c_uint32(ctypes.sizeof(info))
    check(
        library().bpf_obj_get_info_by_fd(fd, ctypes.byref(info), ctypes.byref(size)),
        what,
    )


def program_id(fd: int) -> int:
    """The kernel's number of a loaded program."""
    info = ProgramInfo()
    _object_info(fd, info, "reading a program's id")
    return int(info.id)


def program_size(fd: int) -> int:
    """Instructions of a loaded program after verification (8 bytes each)."""
    info = ProgramInfo()
    _object_info(fd, info, "reading a program's size")
    return int(info.xlated_prog_len) // 8


def verified_instructions(fd: int) -> int:
    """How many instructions the verifier walked through to accept a program (its limit: 1 M)."""
    info = ProgramInfo()
    _object_info(fd, info, "reading what the verifier did")
    return int(info.verified_insns)


def link_is_xdp(fd: int) -> bool:
    """Whether a link is one of XDP; else it is one of tcx."""
    info = LinkInfo()
    _object_info(fd, info, "reading a link")
    return int(info.type) == _LINK_TYPE_XDP


def link_target(fd: int) -> tuple[int, int]:
    """(program id, ifindex) of an XDP or tcx link; ifindex 0 means its device is gone."""
    info = LinkInfo()
    _object_info(fd, info, "reading a link")
    return int(info.prog_id), int(info.ifindex)


def attach(program_fd: int, ifindex: int, mode: str) -> int:
    """Attach to an interface, ``mode`` native or generic; returns the link's descriptor."""
    opts = LinkCreateOpts(sz=ctypes.sizeof(LinkCreateOpts), flags=XDP_FLAGS[mode])
    return check(
        library().bpf_link_create(program_fd, ifindex, XDP, ctypes.byref(opts)),
        f"attaching in {mode} mode",
    )


def attach_behind(program_fd: int, ifindex: int, hook: int) -> int:
    """Attach a program to the stack's side of an interface (tcx); returns the link's descriptor."""
    return check(
        library().bpf_link_create(program_fd, ifindex, hook, None), "attaching through tcx"
    )


def update_link(link_fd: int, program_fd: int) -> None:
    """Let a link run another program; no packet falls between the two."""
    check(library().bpf_link_update(link_fd, program_fd, None), "replacing the program")


def detach(link_fd: int) -> None:
    """Detach now; only dropping the last reference would leave it to a worker, for later."""
    check(library().bpf_link_detach(link_fd), "detaching")


def pin(fd: int, path: Path) -> None:
    """Give a kernel object a name in the BPF file system, so that it outlives us."""
    check(library().bpf_obj_pin(fd, str(path).encode()), f"pinning {path}")


def pinned(path: Path) -> int:
    """A descriptor of what is pinned at a path."""
    return check(library().bpf_obj_get(str(path).encode()), f"opening {path}")


def program_by_id(number: int) -> int:
    """A descriptor of a loaded program, by the kernel's number of it."""
    return check(
        library().bpf_prog_get_fd_by_id(ctypes.c_uint32(number)), f"finding program {number}"
    )


def test_run(program_fd: int, frame: bytes, *, repeat: int = 1) -> tuple[int, bytes]:  # noqa: PT028
    """Run an XDP program on one frame: (verdict, frame afterwards).

    The kernel refuses frames below 14 bytes.  Repeated, a program is fed its
    own output, see stopwatch.py; verdict and frame are those of the last run.
    """
    output = ctypes.create_string_buffer(len(frame) + 256)
    source = ctypes.create_string_buffer(frame, len(frame))
    opts = TestRunOpts(
        sz=ctypes.sizeof(TestRunOpts),
        data_in=ctypes.addressof(source),
        data_out=ctypes.addressof(output),
        data_size_in=len(frame),
        data_size_out=len(output),
        repeat=repeat,
    )
    check(
        library().bpf_prog_test_run_opts(program_fd, ctypes.byref(opts)),
        f"running a frame of {len(frame)} bytes",
    )
    return int(opts.retval), output.raw[: opts.data_size_out]


def send_live(program_fd: int, frame: bytes, *, ifindex: int, repeat: int, batch: int = 64) -> None:
    """Run an XDP program on frames that are real: XDP_TX sends them out of the interface.

    A batch at a time; in between the kernel lets others run, and ends at a signal.
    """
    source = ctypes.create_string_buffer(frame, len(frame))
    context = XdpMd(data_end=len(frame), ingress_ifindex=ifindex)
    opts = TestRunOpts(
        sz=ctypes.sizeof(TestRunOpts),
        data_in=ctypes.addressof(source),
        data_size_in=len(frame),
        ctx_in=ctypes.addressof(context),
        ctx_size_in=ctypes.sizeof(context),
        repeat=repeat,
        flags=_LIVE_FRAMES,
        batch_size=batch,
    )
    check(
        library().bpf_prog_test_run_opts(program_fd, ctypes.byref(opts)),
        f"sending frames of {len(frame)} bytes",
    )


@functools.cache
def possible_cpus() -> int:
    """How many values a per-CPU element has."""
    return check(library().libbpf_num_possible_cpus(), "counting CPUs")
