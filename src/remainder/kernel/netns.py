"""Something done in another network namespace, in a thread that ends right afterwards.

A namespace belongs to a thread, not to a process, so the caller never moves.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

from remainder.errors import HostError

P = ParamSpec("P")
R = TypeVar("R")

_CLONE_NEWNET: Final = 0x40000000
_FINISH_S: Final = 10
_HERE: Final = Path("/proc/thread-self/ns/net")
_NAMED: Final = Path("/run/netns")

_libc = ctypes.CDLL(None, use_errno=True)


def here() -> int:
    """The number of this thread's namespace: an inode, as ``lsns`` shows it."""
    return _HERE.stat().st_ino


def inside(number: int, function: Callable[[], R]) -> R | None:
    """What a function returns in the namespace of a number; None if there is none any more."""
    if number == here():
        return function()
    path = next((path for path in _candidates() if _inode(path) == number), None)
    return None if path is None else in_thread(_enter_and, path, function)


def apart(function: Callable[[], R]) -> R:
    """What a function returns in a new namespace, which ends with it and all that it made there."""

    def body() -> R:
        _check(_libc.unshare(_CLONE_NEWNET), "making a network namespace for a trial")
        return function()

    return in_thread(body)


def can_be_made() -> bool:
    """Whether this process may make a namespace: run's own capabilities do not cover it."""
    return in_thread(lambda: bool(_libc.unshare(_CLONE_NEWNET) == 0))


def in_thread(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """What the function returns, or raises, when run in a thread of its own.

    An interrupt waits until the function is done, so nothing stays half made.
    """
    returned: list[R] = []
    raised: list[BaseException] = []

    def body() -> None:
        try:
            returned.append(function(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001  (the caller gets it)
            raised.append(error)

    thread = threading.Thread(target=body, name="netns", daemon=True)
    thread.start()
    try:
        thread.join()
    except BaseException:
        thread.join(_FINISH_S)
        raise
    if raised:
        raise raised[0]
    return returned[0]


def _candidates() -> Iterator[Path]:
    yield from _NAMED.glob("*")
    yield from (path / "ns" / "net" for path in Path("/proc").glob("[0-9]*"))


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None  # the process has ended, or is not ours to look at


def _enter_and(path: Path, function: Callable[[], R]) -> R:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(_libc.setns(descriptor, _CLONE_NEWNET), f"entering the network namespace {path}")
    finally:
        os.close(descriptor)  # an open handle would keep a removed namespace alive
    return function()


def _check(result: int, doing: str) -> None:
    if result < 0:
        raise HostError(
            f"{doing} failed: {os.strerror(ctypes.get_errno())}; it takes root, or CAP_SYS_ADMIN"
        )
