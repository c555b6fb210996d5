"""The state file of a running node: names for the numbers in the kernel.

The data plane does not need it; ``status`` and the next start do.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, cast, get_args

import msgspec
from msgspec import Struct

from remainder.errors import HostError
from remainder.plan import Role

RUN: Final = Path("/run/remainder")
_LOOK_S: Final = 0.1


class ServerState(Struct, frozen=True, kw_only=True):
    """A server of a service, and its counter."""

    name: str
    address: str
    weight: int
    slots: int  # how many it owns
    slot: int | None = None  # the first of its own, in a modulo table with slots
    counter: int
    mac: str | None = None


class ServiceState(Struct, frozen=True, kw_only=True):
    """A service as it runs."""

    name: str
    vip: str
    port: int | str
    protocol: str
    key: str
    table: str
    slots: int
    method: str
    fragments: str
    servers: list[ServerState]


class Refused(Struct, frozen=True, kw_only=True):
    """A new file that was rejected; the rest of the state is that of the previous one."""

    at: str  # ISO 8601, with the offset of the time zone
    sentence: str


class State(Struct, frozen=True, kw_only=True):
    """What a node runs."""

    node: str
    role: Role
    pid: int
    file: str
    interface: str
    ifindex: int = 0
    mode: str
    published: int  # number of publications by this process
    fingerprint_file: str
    fingerprint_tables: str
    fingerprint_program: str
    assigned: list[str]  # VIPs that were put on the interface
    managed: list[str]  # neighbours that are kept resolved
    offloads: list[str] = []  # of the interface, switched off for as long as this runs
    cluster_mac: str | None = None  # what the interface listens to besides its own
    refused: Refused | None = None  # until a good file comes
    trouble: str | None = None  # what the host refuses, until it does no longer
    services: list[ServiceState]


def path_of(node: str, role: Role) -> Path:
    """Where the state of a node's role is."""
    return RUN / f"{node}@{role}.json"


def read(node: str, role: Role) -> State | None:
    """The state of a node's role; None if there is none, or another version wrote it."""
    try:
        return msgspec.json.decode(path_of(node, role).read_bytes(), type=State)
    except (OSError, msgspec.DecodeError):
        return None


def running() -> list[tuple[str, Role]]:
    """Every (node, role) with a state on this machine."""
    found = (path.stem.rsplit("@", 1) for path in sorted(RUN.glob("*@*.json")))
    return [(node, cast(Role, role)) for node, role in found if role in get_args(Role)]


def all_states() -> list[State]:
    """Every state on this machine that can be read."""
    found = (read(node, role) for node, role in running())
    return [one for one in found if one is not None]


def write(state: State) -> None:
    """Replace a node's state in one step."""
    path = path_of(state.node, state.role)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    temporary.write_bytes(msgspec.json.format(msgspec.json.encode(state)))
    temporary.rename(path)


def remove(node: str, role: Role) -> None:
    """Forget a role of a node."""
    path_of(node, role).unlink(missing_ok=True)


def lock_of(node: str) -> Path:
    """The lock held by the process that runs a node."""
    return RUN / f"{node}.lock"


def tended_by(node: str) -> int | None:
    """The ID of the process that runs the node, which is the one that holds its lock.

    A process ID alone proves nothing: that of a dead process may be in use again.
    """
    try:
        descriptor = os.open(lock_of(node), os.O_RDONLY)
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
def sole_writer(node: str) -> Iterator[None]:
    """Hold the node's lock; at the end its file is gone.  Raises HostError if another holds it."""
    deadline_s = time.monotonic() + _LOOK_S  # `status` may be asking just now
    descriptor = _opened(node)
    try:
        while not (held := _locked(descriptor, fcntl.LOCK_EX)) or not _is_at(node, descriptor):
            if held:  # the previous holder has removed this file: nobody else would find it
                stale, descriptor = descriptor, _opened(node)
                os.close(stale)
            elif time.monotonic() > deadline_s:
                holder = os.read(descriptor, 32).decode(errors="replace").strip()
                raise HostError(
                    f"node {node!r} is already run by process {holder or 'unknown'}; "
                    f"stop that one first, or choose another --node",
                    id="node-runs-already",
                )
            else:
                time.sleep(_LOOK_S / 10)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        try:
            yield
        finally:
            if _is_at(node, descriptor):
                with suppress(OSError):  # without write access to the directory it stays
                    lock_of(node).unlink()
    finally:
        os.close(descriptor)


def _opened(node: str) -> int:
    path = lock_of(node)
    try:
        RUN.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise HostError(
            f"cannot write {path} ({error.strerror}); run as root, or make {RUN} writable"
        ) from None


def _is_at(node: str, descriptor: int) -> bool:
    """Whether this is still the file that others would find."""
    try:
        return os.path.samestat(os.fstat(descriptor), lock_of(node).stat())
    except FileNotFoundError:
        return False
