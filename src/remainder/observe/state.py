"""The state file of a running node: names for the numbers in the kernel.

The data plane does not need it; ``status`` and the next start do.
"""

from __future__ import annotations

import os
import re
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Final, cast, get_args

import msgspec
from msgspec import Struct

from remainder.config import NAME_PATTERN
from remainder.errors import ConfigError, HostError
from remainder.flow import address_of, mac_of
from remainder.observe import lock, rundir
from remainder.plan import Role

RUN: Final = Path("/run/remainder")
SEEN: Final = ".seen"
"""The ending of the file beside the notes, see seen.py."""
_MOST_COUNTERS: Final = 1 << 30


class ServerState(Struct, frozen=True, kw_only=True):
    """A server of a service, and its counter."""

    name: str
    address: str
    weight: int
    slots: int  # how many it owns
    slot: int | None = None  # the first of its own, in a modulo table with slots
    counter: int
    mac: str | None = None


class CalculationState(Struct, frozen=True, kw_only=True):
    """An earlier calculation of a service."""

    key: str
    table: str
    slots: int
    servers: list[ServerState]


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
    before: list[CalculationState] = []  # newest first; only of roles that ask them

    @property
    def everyone(self) -> list[ServerState]:
        """The servers of all calculations; who is in several stands there several times."""
        return [*self.servers, *(server for one in self.before for server in one.servers)]


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
        return load(node, role)
    except HostError:
        return None


def load(node: str, role: Role) -> State:
    """The state of a node's role.  Raises HostError, saying why there is none."""
    path = path_of(node, role)
    try:
        with rundir.entered(RUN) as at:
            content = rundir.read(at, path.name)
    except rundir.UnsafeError as error:
        raise lock.unsafe(RUN, error) from None
    except FileNotFoundError:
        raise HostError(f"node {node!r} does not run here as {role}", id="nothing-runs") from None
    except PermissionError:
        raise HostError(
            f"reading {path} requires root; try again with sudo", id="needs-root"
        ) from None
    except OSError as error:
        raise HostError(f"cannot read {path} ({error.strerror})", id="state-unreadable") from None
    try:
        found = msgspec.json.decode(content, type=State)
        _check(found, node, role)
    except (ValueError, RecursionError, ConfigError) as error:
        raise HostError(
            f"{path} is not a state file of this version ({error}); restart `remainder run`, which "
            f"writes it anew",
            id="state-unreadable",
        ) from None
    return found


def _check(found: State, node: str, role: Role) -> None:
    """Everything in it can be used without another look.  Raises ValueError or ConfigError."""
    if (found.node, found.role) != (node, role):
        raise ValueError("it is another node's")
    for text in (*found.assigned, *found.managed):
        address_of(text)
    macs = [found.cluster_mac] if found.cluster_mac is not None else []
    for service in found.services:
        for server in service.servers:
            if server.address:
                address_of(server.address)
            if not 0 <= server.counter < _MOST_COUNTERS:
                raise ValueError(f"no counter {server.counter}")
            macs += [server.mac] if server.mac is not None else []
    for mac in macs:
        mac_of(mac)


def running() -> list[tuple[str, Role]]:
    """Every (node, role) with a state here.  Raises HostError if none can be believed."""
    try:
        with rundir.entered(RUN) as at:
            names = sorted(entry.name for entry in os.scandir(at))
    except rundir.UnsafeError as error:
        raise lock.unsafe(RUN, error) from None
    except PermissionError:
        raise HostError(
            f"reading {RUN} requires root; try again with sudo", id="needs-root"
        ) from None
    except OSError:
        return []
    split = (name.removesuffix(".json").rsplit("@", 1) for name in names if name[-5:] == ".json")
    return [
        (parts[0], cast(Role, parts[-1]))
        for parts in split
        if parts[-1] in get_args(Role) and re.fullmatch(NAME_PATTERN, parts[0])
    ]


def all_states() -> list[State]:
    """Every state on this machine that can be read."""
    found = (read(node, role) for node, role in running())
    return [one for one in found if one is not None]


def write(state: State) -> None:
    """Replace a node's state in one step.  Raises OSError."""
    with rundir.entered(RUN, make=True) as at:
        content = msgspec.json.format(msgspec.json.encode(state))
        rundir.replace(at, path_of(state.node, state.role).name, content)


def remove(node: str, role: Role) -> None:
    """Forget a role of a node, and what it has seen; what cannot be removed is not ours."""
    with suppress(OSError), rundir.entered(RUN) as at:
        rundir.remove(at, path_of(node, role).name)
        rundir.remove(at, f"{node}@{role}{SEEN}")


def lock_of(node: str) -> Path:
    """The file that is locked by the process that runs a node."""
    return RUN / lock.name_of(node)


def tended_by(node: str) -> int | None:
    """The ID of the process that runs the node; see lock.py."""
    return lock.tended_by(RUN, node)


def sole_writer(node: str) -> AbstractContextManager[None]:
    """Hold the node's locks; at the end the file is gone.  Raises HostError if another does."""
    return lock.sole_writer(RUN, node)
