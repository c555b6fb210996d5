"""A node: all its roles, from one file, changed together.

Claims: 42, 43, 47, 48 (several tiers, each doing the calculation).
Law: prepare everything, then commit.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from remainder.errors import HostError, RemainderError
from remainder.fleet import Part, parts_of
from remainder.kernel import pins, refusal
from remainder.kernel.bpf_planes import BpfPlanes
from remainder.kernel.host import Host, LinuxHost
from remainder.kernel.plane import Planes
from remainder.observe import state
from remainder.plan import Role
from remainder.roles import ROLES, leaving, notes, upkeep
from remainder.roles.change import Change
from remainder.roles.running import RunningRole, Wanted
from remainder.roles.segment import check_servers
from remainder.sources.file import Source


@dataclass(frozen=True)
class Read:
    """What a file says of a node."""

    parts: list[Part]
    fingerprint: str
    stands_by: bool
    is_same: bool = False
    """As what was read before."""


@dataclass
class RunningNode:
    """The roles of a node that run.  Made by ``start``."""

    wanted: Wanted
    source: Source
    host: Host = field(default_factory=LinuxHost)
    planes: Planes = field(default_factory=BpfPlanes)
    roles: list[RunningRole] = field(default_factory=list)
    stands_by: bool = False
    """Somebody else, keepalived, says who holds the VIPs."""

    @classmethod
    def start(
        cls, wanted: Wanted, *, host: Host | None = None, planes: Planes | None = None
    ) -> RunningNode:
        """Start every role, or take over what runs.

        Raises ConfigError or HostError with everything left as it was found.
        """
        node = cls(wanted, Source(wanted.file), host or LinuxHost(), planes or BpfPlanes())
        read = node.read()
        for part in read.parts:
            refusal.refuse_old_kernel(part.role)
        node.publish(read)
        node._sweep()
        return node

    def reload(self) -> None:
        """Read the file again and publish it.  Raises with what runs untouched."""
        self.publish(self.read())

    def read(self) -> Read:
        """What the file says now; touches nothing that runs.  Raises ConfigError."""
        config = self.source.load()
        parts = parts_of(config, self.wanted.node)
        return Read(
            parts,
            self.source.fingerprint,
            stands_by=config.vrrp is not None,
            is_same=self.source.is_same,
        )

    def publish(self, read: Read) -> None:
        """All roles become what the file says, or none does."""
        parts = read.parts
        _refuse_shared_interfaces(self.wanted, parts)
        running = {role.role: role for role in self.roles}
        found: list[RunningRole] = []
        try:
            for part in parts:
                if part.role not in running:
                    role = RunningRole.find(self.wanted, self.host, self.planes, part)
                    role.beside = self._beside(role)
                    running[part.role] = role
                    found.append(role)
                # Of all roles first: it is quick, and waits for nobody.
                interface = running[part.role].serving(running[part.role].interface, part)
                ROLES[part.role].refuse(interface)
                check_servers(self.host, part.plan, interface)
            changes = _changed(((running[part.role], part) for part in parts), read.fingerprint)
        except BaseException:  # Ctrl-C among them: nobody else would clean up
            for role in found:
                role.close()
            raise
        wanted = {part.role for part in parts}
        gone = [role for role in self.roles if role.role not in wanted]
        self.roles = [role for role in self.roles if role.role in wanted] + found
        self.stands_by = read.stands_by
        for role in self.roles:
            role.stands_by = read.stands_by
        for change in changes:
            change.finish()
        for role in gone:  # the file no longer has them for this node
            leaving.stop(role)

    def _beside(self, role: RunningRole) -> Callable[[], list[RunningRole]]:
        return lambda: [other for other in self.roles if other is not role]

    def _sweep(self) -> None:
        """Stop what runs for a role that the file dropped while no process ran."""
        for name in ROLES.keys() - {role.role for role in self.roles}:
            try:
                _remove(self.host, self.planes, self.wanted.node, name)
            except HostError as error:
                self.wanted.warn(f"the file has no {name} any more, but it stays: {error}")

    @property
    def mended(self) -> int:
        """Looks that found something to mend."""
        return sum(role.mended for role in self.roles)

    @property
    def fought(self) -> int:
        """Those of them that found the same as the look before."""
        return sum(role.fought for role in self.roles)

    def glance(self) -> bool:
        """Whether every program runs and is pinned, at little cost."""
        try:
            return all(upkeep.glance(role) for role in self.roles)
        except (HostError, OSError):
            return False

    def tend(self) -> bool:
        """Mend what differs from what the file wants; False if the host refuses something."""
        trouble: dict[Role, str | None] = {}
        again: list[RunningRole] = []
        for role in self.roles:
            trouble[role.role] = None
            try:
                if upkeep.tend(role):
                    again.append(role)
            except (HostError, OSError) as error:
                trouble[role.role] = notes.sentence_of(error)
        try:
            if again:
                changes = _changed(((role, role.part) for role in again), None)
                for change in changes:
                    change.finish()
        except (RemainderError, OSError) as error:
            trouble |= {role.role: notes.sentence_of(error) for role in again}
        for role in self.roles:
            role.note_trouble(trouble[role.role])
        return not any(trouble.values())

    def do_what_is_due(self) -> None:
        """Let every role announce its VIPs, and name what its driver loses."""
        for role in self.roles:
            upkeep.announce_what_is_due(role)
            with role.telling():
                if role.mode == "native":
                    role.losses.look(role.host, role.interface.name, role.wanted.warn)

    def stop(self) -> None:
        """Detach every role."""
        for role in reversed(self.roles):
            leaving.stop(role)
        self.roles.clear()


def _changed(parts: Iterable[tuple[RunningRole, Part]], fingerprint: str | None) -> list[Change]:
    """Changes that packets see: of all roles, or none.

    ``fingerprint`` is that of the file; None: the one before.
    """
    changes: list[Change] = []
    try:
        for role, part in parts:
            changes.append(role.prepare(part, fingerprint or role.fingerprint))
        with _uninterrupted():
            _commit(changes)
    except BaseException:
        for change in reversed(changes):
            if change.is_seen:  # Ctrl-C came meanwhile, and has waited
                change.undo()
            change.discard()
        raise
    return changes


def _commit(changes: list[Change]) -> None:
    """Let packets see all changes, the riskiest first; those that were seen go back if one fails.

    A place may be taken and a driver may refuse a program; a store cannot fail.
    """
    done: list[Change] = []
    try:
        for change in sorted(changes, key=lambda one: -one.risk):
            change.commit()
            done.append(change)
    except BaseException:
        for change in reversed(done):
            change.undo()
        raise


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C waits until packets see all or nothing.

    A mask would not make it wait: it holds for one thread, and numpy has others.
    """
    came: list[int] = []
    handlers: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            handlers[number] = signal.signal(number, lambda which, _: came.append(which))
    try:
        yield
    finally:
        for which, handler in handlers.items():
            signal.signal(which, signal.SIG_DFL if handler is None else handler)
        for which in came:
            signal.raise_signal(which)


def _refuse_shared_interfaces(wanted: Wanted, parts: list[Part]) -> None:
    if len(parts) > 1 and wanted.interface:
        raise HostError(
            f"node {wanted.node!r} is {' and '.join(part.role for part in parts)}, and "
            f"--interface names only one interface; set the interfaces in {wanted.file} instead"
        )
    on: dict[str | None, list[Role]] = {}
    for part in parts:
        if ROLES[part.role].side == "XDP":
            on.setdefault(wanted.interface or part.interface, []).append(part.role)
    for interface, roles in on.items():
        if len(roles) > 1:
            raise HostError(
                f"node {wanted.node!r} is {refusal.listed(roles)} on {interface}, which can run "
                f"only one XDP program; give each role its own interface"
            )


def detach(node: str, *, host: Host | None = None, planes: Planes | None = None) -> bool:
    """Stop the data planes of a node that nobody tends; False if there are none.

    Raises HostError if a process runs the node: that one should be stopped.
    """
    host, planes = host or LinuxHost(), planes or BpfPlanes()
    if not state.lock_of(node).exists() and not _traces(node):
        return False
    found = False
    with state.sole_writer(node):
        for role in reversed(list(ROLES)):  # as a node stops: who made a qdisc goes last
            found = _remove(host, planes, node, role) or found
    return found


def _remove(host: Host, planes: Planes, node: str, role: Role) -> bool:
    """Detach a role that nobody tends, and take back what it put on the host, by its notes."""
    before = state.read(node, role)
    if not planes.remove(node, role):
        if before is None:
            return False
        if not pins.is_mounted():
            raise HostError(
                f"no BPF file system is mounted at {pins.BPFFS} here, so the {role} of node "
                f"{node!r} cannot be found; if this is `ip netns exec`, which hides it, use "
                f"`nsenter --net=/run/netns/NAME`, else `mount -t bpf bpf {pins.BPFFS}` first",
                id="bpffs-hidden",
            )
    if before is not None:
        leaving.take_back(host, before)
    state.remove(node, role)
    return True


def _traces(node: str) -> bool:
    return any(
        state.path_of(node, role).exists() or pins.folder_of(node, role).exists() for role in ROLES
    )
