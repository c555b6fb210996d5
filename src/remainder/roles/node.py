"""A node: all its roles, from one file.

Claims: 42, 43, 47, 48 (several tiers, each doing the calculation).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address

from remainder.errors import HostError
from remainder.fleet import Part, parts_of
from remainder.kernel import netlink, pins, refusal
from remainder.kernel.dataplane import Dataplane
from remainder.observe import state
from remainder.plan import Role
from remainder.roles.running import RunningRole, Wanted
from remainder.roles.segment import check_servers
from remainder.sources.file import Source

EVERY_ROLE: tuple[Role, ...] = ("balancer", "member", "sender")


@dataclass
class RunningNode:
    """The roles of a node that run.  Make one with ``start``."""

    wanted: Wanted
    source: Source
    roles: list[RunningRole] = field(default_factory=list)
    stands_by: bool = False
    """Somebody else, keepalived, says who holds the VIPs."""

    @classmethod
    def start(cls, wanted: Wanted) -> RunningNode:
        """Start every role.  Raises ConfigError or HostError with nothing changed."""
        node = cls(wanted, Source(wanted.file))
        parts = node._parts()
        for part in parts:
            refusal.refuse_old_kernel(part.role)
        interfaces = [wanted.interface or part.interface for part in parts if _uses_xdp(part)]
        if len(parts) > 1 and wanted.interface:
            raise HostError(
                f"node {wanted.node!r} is {' and '.join(part.role for part in parts)}, and "
                f"--interface names one; write the interfaces into {wanted.file} instead"
            )
        if len(interfaces) != len(set(interfaces)):
            raise HostError(
                f"node {wanted.node!r} is balancer and member on {interfaces[0]}, which runs one "
                f"XDP program; give each an interface of its own"
            )
        try:
            for part in parts:
                node.roles.append(RunningRole.start(wanted, part, node.source.fingerprint))
        except HostError:
            node.stop()
            raise
        return node

    def _parts(self) -> list[Part]:
        config = self.source.load()
        parts = parts_of(config, self.wanted.node)
        self.stands_by = config.vrrp is not None
        return parts

    def reload(self) -> None:
        """Read the file again and publish it.  Raises with the running tables untouched.

        So every role is asked for what it needs before the first one changes.
        """
        parts = self._parts()
        running = {role.role: role for role in self.roles}
        for part in parts:
            if part.role in running:
                check_servers(part.plan, running[part.role].interface)
        loaded = self._programs_for(parts)
        for part in parts:
            role = running.pop(part.role, None)
            if role is not None:
                role.use(part, self.source.fingerprint, loaded.get(part.role))
            else:
                self.roles.append(RunningRole.start(self.wanted, part, self.source.fingerprint))
        for role in running.values():  # the file no longer has them for this node
            role.stop()
            self.roles.remove(role)

    def _programs_for(self, parts: Iterable[Part]) -> dict[Role, Dataplane]:
        """Programs for what those that run cannot do, loaded.  Raises HostError with none left."""
        loaded: dict[Role, Dataplane] = {}
        running = {role.role: role for role in self.roles}
        try:
            for part in parts:
                program = (
                    running[part.role].current.program_for(part) if part.role in running else None
                )
                if program is not None:
                    loaded[part.role] = program
        except HostError:
            for program in loaded.values():
                program.close()
            raise
        return loaded

    def stop(self) -> None:
        """Detach every role."""
        for role in reversed(self.roles):
            role.stop()
        self.roles.clear()


def _uses_xdp(part: Part) -> bool:
    return part.role != "sender"


def detach(node: str) -> bool:
    """Stop the data planes of a node that nobody tends; False if there are none.

    Raises HostError if a process runs the node: that one should be stopped.
    """
    if not state.lock_of(node).exists() and not _traces(node):
        return False
    found = False
    with state.sole_writer(node):
        for role in reversed(EVERY_ROLE):  # as a node stops: who made a qdisc goes last
            before = state.read(node, role)
            if before is None and not pins.folder_of(node, role).exists():
                continue
            found = True
            pins.remove(node, role)
            if before is not None:
                _take_back(before)
            state.remove(node, role)
    return found


def _traces(node: str) -> bool:
    return any(
        state.path_of(node, role).exists() or pins.folder_of(node, role).exists()
        for role in EVERY_ROLE
    )


def _take_back(before: state.State) -> None:
    try:
        interface = netlink.interface(before.interface)
    except HostError:
        return  # the interface is gone, and with it what stood on it
    for text in before.assigned:
        netlink.remove_address(interface.index, ip_address(text))
    netlink.forget(interface.index, [ip_address(text) for text in before.managed])
    if before.cluster_mac:
        mac = bytes.fromhex(before.cluster_mac.replace(":", ""))
        netlink.listen_to(interface, mac, join=False)
