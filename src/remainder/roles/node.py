"""A node: all its roles, from one file, changed together.

Claims: 42, 43, 47, 48 (several tiers, each doing the calculation).
Law: prepare everything, then commit.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from remainder.errors import HostError
from remainder.fleet import Part, parts_of
from remainder.kernel import pins, refusal
from remainder.kernel.bpf_planes import BpfPlanes
from remainder.kernel.host import Host, LinuxHost
from remainder.kernel.plane import Planes
from remainder.observe import state
from remainder.plan import Role
from remainder.roles import ROLES
from remainder.roles.change import Change
from remainder.roles.running import RunningRole, Wanted, take_back
from remainder.roles.segment import check_servers
from remainder.sources.file import Source


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
        parts = node._parts()
        for part in parts:
            refusal.refuse_old_kernel(part.role)
        node._change(parts)
        node._sweep()
        return node

    def reload(self) -> None:
        """Read the file again and publish it.  Raises with what runs untouched."""
        self._change(self._parts())

    def _parts(self) -> list[Part]:
        config = self.source.load()
        parts = parts_of(config, self.wanted.node)
        self.stands_by = config.vrrp is not None
        return parts

    def _change(self, parts: list[Part]) -> None:
        """All roles become what the parts say, or none does."""
        _refuse_shared_interfaces(self.wanted, parts)
        running = {role.role: role for role in self.roles}
        found: list[RunningRole] = []
        changes: list[Change] = []
        try:
            for part in parts:
                if part.role not in running:
                    role = RunningRole.find(self.wanted, self.host, self.planes, part)
                    role.beside = self._beside(role)
                    running[part.role] = role
                    found.append(role)
                # Of all roles first: it is quick, and waits for nobody.
                check_servers(self.host, part.plan, running[part.role].interface)
            for part in parts:
                change = running[part.role].prepare(part, self.source.fingerprint)
                changes.append(change)
            with _uninterrupted():
                _commit(changes)
        except BaseException:  # Ctrl-C among them: nobody else would clean up
            for change in reversed(changes):
                change.discard()
            for role in found:
                role.close()
            raise
        wanted = {part.role for part in parts}
        gone = [role for role in self.roles if role.role not in wanted]
        self.roles = [role for role in self.roles if role.role in wanted] + found
        for change in changes:
            change.finish()
        for role in gone:  # the file no longer has them for this node
            role.stop()

    def _beside(self, role: RunningRole) -> Callable[[], list[RunningRole]]:
        return lambda: [other for other in self.roles if other is not role]

    def _sweep(self) -> None:
        """Stop what runs for a role that the file dropped while no process ran."""
        for name in ROLES.keys() - {role.role for role in self.roles}:
            try:
                _remove(self.host, self.planes, self.wanted.node, name)
            except HostError as error:
                self.wanted.warn(f"the file has no {name} any more, but it stays: {error}")

    def look_for_losses(self) -> None:
        """Let every role name what its driver loses."""
        for role in self.roles:
            role.look_for_losses()

    def stop(self) -> None:
        """Detach every role."""
        for role in reversed(self.roles):
            role.stop()
        self.roles.clear()


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
    """Ctrl-C waits until packets see all or nothing."""
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _refuse_shared_interfaces(wanted: Wanted, parts: list[Part]) -> None:
    if len(parts) > 1 and wanted.interface:
        raise HostError(
            f"node {wanted.node!r} is {' and '.join(part.role for part in parts)}, and "
            f"--interface names only one interface; set the interfaces in {wanted.file} instead"
        )
    interfaces = [
        wanted.interface or part.interface for part in parts if ROLES[part.role].side == "XDP"
    ]
    if len(interfaces) != len(set(interfaces)):
        raise HostError(
            f"node {wanted.node!r} is balancer and member on {interfaces[0]}, which can run only "
            f"one XDP program; give each role its own interface"
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
    if not planes.remove(node, role) and before is None:
        return False
    if before is not None:
        take_back(host, before)
    state.remove(node, role)
    return True


def _traces(node: str) -> bool:
    return any(
        state.path_of(node, role).exists() or pins.folder_of(node, role).exists() for role in ROLES
    )
