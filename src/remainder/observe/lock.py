"""Who runs a node: one process at a time, whatever becomes of the names in /run.

Two locks, both of the kernel's, both gone with the process:

- ``flock`` on /run/remainder/NODE.lock.  It keeps two starts apart at once, and holds
  across PID namespaces; but whoever removes the file lifts it.
- a *mark*: a POSIX lock on a file without a name (memfd), at an offset that is
  calculated from the node.  The kernel lists it in /proc/locks with the ID of its
  process, so it can be found, but there is no name to remove it by.

Anyone can make such a mark, so only those count whose process runs wholly as root, or
as our own user: nobody else can keep a node from starting.  An abstract Unix socket
would not do: any user can bind its name first, and each network namespace has its own.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from remainder.errors import HostError
from remainder.observe import rundir

LOCKS: Final = Path("/proc/locks")
_LOOK_S: Final = 0.1
_NOT_EXECUTABLE: Final = 0x8  # MFD_NOEXEC_SEAL, which Python does not know yet


def name_of(node: str) -> str:
    """The file in the folder."""
    return f"{node}.lock"


def tended_by(folder: Path, node: str) -> int | None:
    """The ID of the process that runs the node, which is the one that holds its locks.

    A process ID alone proves nothing: that of a dead process may be in use again.
    """
    try:
        with rundir.entered(folder) as at:
            marked = next(iter(_marks(_place(at, folder, node))), None)
            return marked if marked is not None else _holder(at, node)
    except OSError:
        return None


def _holder(at: int, node: str) -> int | None:
    """The same by the file: a process of another PID namespace is not in our /proc/locks."""
    try:
        descriptor = rundir.open_file(at, name_of(node), os.O_RDONLY)
    except OSError:
        return None
    try:
        if _locked(descriptor, fcntl.LOCK_SH):
            return None
        written = os.read(descriptor, 32).strip()
        return int(written) if written.isdigit() else None
    finally:
        os.close(descriptor)


def _locked(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextmanager
def sole_writer(folder: Path, node: str) -> Iterator[None]:
    """Hold the node's locks; at the end the file is gone.  Raises HostError if another does."""
    with ExitStack() as held:
        try:
            at = held.enter_context(rundir.entered(folder, make=True))
            held.enter_context(_file(at, node))
        except rundir.UnsafeError as error:
            raise unsafe(folder, error) from None
        except OSError as error:
            raise HostError(
                f"cannot write {folder / name_of(node)} ({error.strerror}); run as root, or make "
                f"{folder} writable"
            ) from None
        held.enter_context(_mark(at, folder, node))
        yield


def unsafe(folder: Path, error: OSError) -> HostError:
    """The sentence for an operator."""
    place = folder if error.filename in (None, str(folder)) else folder / str(error.filename)
    return HostError(f"{place} is not safe to use: {error.strerror}", id="run-folder-unsafe")


@contextmanager
def _file(at: int, node: str) -> Iterator[None]:
    deadline_s = time.monotonic() + _LOOK_S  # `status` may be asking just now
    descriptor = _opened(at, node)
    try:
        while not (held := _locked(descriptor, fcntl.LOCK_EX)) or not _is_at(at, node, descriptor):
            if held:  # the previous holder has removed this file: nobody else would find it
                stale, descriptor = descriptor, _opened(at, node)
                os.close(stale)
            elif time.monotonic() > deadline_s:
                raise _taken(node, os.read(descriptor, 32).decode(errors="replace").strip())
            else:
                time.sleep(_LOOK_S / 10)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        try:
            yield
        finally:
            if _is_at(at, node, descriptor):
                with suppress(OSError):  # without write access to the directory it stays
                    rundir.remove(at, name_of(node))
    finally:
        os.close(descriptor)


def _opened(at: int, node: str) -> int:
    return rundir.open_file(at, name_of(node), os.O_RDWR | os.O_CREAT)


def _is_at(at: int, node: str, descriptor: int) -> bool:
    """Whether this is still the file that others would find."""
    try:
        there = os.stat(name_of(node), dir_fd=at, follow_symlinks=False)
    except OSError:
        return False
    return os.path.samestat(os.fstat(descriptor), there)


@contextmanager
def _mark(at: int, folder: Path, node: str) -> Iterator[None]:
    """First mark, then look: of two that start at once, at least one sees the other."""
    place = _place(at, folder, node)
    descriptor = _nameless(node)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        for other in _marks(place):
            if other != os.getpid():
                raise _taken(node, str(other))
        yield
    finally:
        os.close(descriptor)


def _nameless(node: str) -> int:
    for flags in (_NOT_EXECUTABLE, 0):  # some hosts demand it, kernels before 6.3 refuse it
        with suppress(OSError):
            return os.memfd_create(f"remainder-{node}", flags | os.MFD_CLOEXEC)
    raise HostError(
        "the kernel refuses memfd_create, by which one process at a time runs a node; "
        "allow it, for example in the container's seccomp profile"
    )


def _place(at: int, folder: Path, node: str) -> int:
    """Where the mark of a node is: the same for all who share the folder, even if it is new."""
    whose = f"remainder {os.fstat(at).st_dev} {folder} {node}".encode()
    return int.from_bytes(hashlib.sha256(whose).digest()[:8], "big") >> 2


def _marks(place: int) -> Iterator[int]:
    """The processes that hold a mark there.

    A line is ``12: POSIX  ADVISORY  WRITE 4711 00:01:1029 PLACE PLACE``.
    """
    try:
        lines = LOCKS.read_text(encoding="ascii").splitlines()
    except OSError:  # a container may hide it; the file's lock remains
        return
    for line in lines:
        words = line.split()
        is_mark = words[1:2] == ["POSIX"] and words[3:4] == ["WRITE"]
        if is_mark and words[6:] == [str(place)] * 2 and _is_trusted(int(words[4])):
            yield int(words[4])


def _is_trusted(process: int) -> bool:
    """By all its user IDs: a set-user-ID program keeps the real one of who called it."""
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    users = next((line.split()[1:] for line in lines if line.startswith("Uid:")), [])
    return bool(users) and rundir.trusted().issuperset(map(int, users))


def _taken(node: str, holder: str) -> HostError:
    return HostError(
        f"node {node!r} is already run by process {holder or 'unknown'}; "
        f"stop that one first, or choose another --node",
        id="node-runs-already",
    )
