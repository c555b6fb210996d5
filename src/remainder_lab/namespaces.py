"""Network namespaces with names, and Python functions run inside them.

A namespace belongs to a thread, not to a process, so everything that enters
one does it in a thread that ends right afterwards; the caller never moves.
Rule: every name starts with ``rmd-PID-``, so what a killed process left behind
is known by its name, and nothing else is ever removed.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

from remainder.errors import HostError
from remainder.kernel.netns import in_thread

P = ParamSpec("P")
R = TypeVar("R")

FOLDER: Final = Path("/run/netns")
"""Where ``ip netns`` looks, so that ``ip netns exec NAME`` works on a lab too."""

_CLONE_NEWNET: Final = 0x40000000
_MS_BIND: Final = 0x1000
_MS_REC: Final = 0x4000
_MS_SHARED: Final = 0x100000
_MNT_DETACH: Final = 2

_libc = ctypes.CDLL(None, use_errno=True)


def create(name: str) -> None:
    """Make a namespace.  Raises HostError if this process may not."""
    if os.geteuid() != 0:
        raise HostError("network namespaces require root; run this with sudo")
    _share_folder()
    path = FOLDER / name
    path.touch(mode=0, exist_ok=False)
    try:
        in_thread(_unshare_to, path)
    except BaseException:
        remove(name)
        raise


def remove(name: str) -> None:
    """Forget a namespace; the kernel ends it with the last process or socket inside."""
    path = FOLDER / name
    _libc.umount2(os.fsencode(path), _MNT_DETACH)
    path.unlink(missing_ok=True)


def free_name(name: str) -> str:
    """``rmd-PID-NAME``, with a number behind it where this process uses that already."""
    candidate = wanted = f"rmd-{os.getpid()}-{name}"
    number = 2
    while (FOLDER / candidate).exists():
        candidate = f"{wanted}-{number}"
        number += 1
    return candidate


def orphans() -> list[str]:
    """Names of namespaces whose process is dead."""
    if not FOLDER.is_dir():
        return []
    return [
        path.name
        for path in sorted(FOLDER.iterdir())
        if (match := re.match(r"rmd-(\d+)-", path.name)) and not Path("/proc", match[1]).exists()
    ]


def call(name: str, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """What the function returns, or raises, when run inside the namespace."""
    return in_thread(_enter_and, FOLDER / name, lambda: function(*args, **kwargs))


def _enter_and(path: Path, function: Callable[[], R]) -> R:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(_libc.setns(descriptor, _CLONE_NEWNET), f"entering {path}")
    finally:
        # An open handle would keep a removed namespace alive.
        os.close(descriptor)
    return function()


def _unshare_to(path: Path) -> None:
    _check(_libc.unshare(_CLONE_NEWNET), "making a network namespace")
    _mount("/proc/thread-self/ns/net", path, _MS_BIND)


def _share_folder() -> None:
    """As ``ip netns add`` does it: removal must reach other mount namespaces too."""
    FOLDER.mkdir(mode=0o755, parents=True, exist_ok=True)
    try:
        _mount("", FOLDER, _MS_SHARED | _MS_REC)
    except HostError as error:
        if not isinstance(error.__cause__, OSError) or error.__cause__.errno != errno.EINVAL:
            raise
        _mount(FOLDER, FOLDER, _MS_BIND | _MS_REC)
        _mount("", FOLDER, _MS_SHARED | _MS_REC)


def _mount(source: Path | str, target: Path, flags: int) -> None:
    result = _libc.mount(
        os.fsencode(source), os.fsencode(target), b"none", ctypes.c_ulong(flags), None
    )
    _check(result, f"mounting {target}")


def _check(result: int, doing: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise HostError(
            f"{doing} failed: {os.strerror(number)}; the lab needs root "
            f"and a kernel with network namespaces"
        ) from OSError(number, os.strerror(number))
