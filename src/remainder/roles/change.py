"""A role on its way from what runs to what the file wants, in two steps.

Law: prepare everything, then commit.  What a packet could see changes in
``commit`` alone; ``undo`` and ``discard`` leave what was found.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from remainder.errors import HostError
from remainder.fleet import Part
from remainder.flow import Address
from remainder.kernel.netlink import Interface
from remainder.kernel.plane import Plane, Prepared, Wish
from remainder.messages import Warn
from remainder.roles import ROLES
from remainder.roles.reconcile import Told
from remainder.roles.segment import addresses_of, resolve

if TYPE_CHECKING:
    from remainder.roles.running import RunningRole


@dataclass
class Change:
    """Made by ``prepare``; then commit and finish, or discard."""

    role: RunningRole
    part: Part
    interface: Interface
    """As it serves the part."""
    fingerprint: str
    macs: dict[Address, bytes]
    managed: set[Address]
    heard: bytes | None
    told: Told
    offloads: tuple[str, ...]
    prepared: Prepared
    back: ExitStack
    """What undoes the preparation on the host."""
    before: Plane | None = None
    is_seen: bool = False
    """By packets."""
    stuck: bool = False
    """It was committed and could not be undone."""
    untold: list[tuple[str, str | None]] = field(default_factory=list)
    """(sentence, id) of what is wrong once this is what runs; refused, it may be tried for long."""

    @classmethod
    def prepare(cls, role: RunningRole, part: Part, fingerprint: str) -> Change:
        """Do all that can fail.  Raises HostError with the host as it was."""
        back = ExitStack()
        try:
            return _prepare(role, part, fingerprint, back)
        except BaseException:
            back.close()
            raise

    @property
    def risk(self) -> int:
        """Of its commit."""
        return self.prepared.risk

    def commit(self) -> None:
        """Let packets see it.  Raises HostError with nothing that they could see."""
        self.before = self.role.plane
        self.role.plane = self.prepared.commit(self.role.wanted.warn)
        self.is_seen = True

    def undo(self) -> None:
        """Take it back after a commit; never raises, what cannot be undone stays and is told."""
        try:
            self.prepared.undo()
        except HostError as error:
            self.stuck = True
            self.role.wanted.warn(f"cannot go back: {error}")
        self.role.plane, self.is_seen = self.before, False

    def discard(self) -> None:
        """Leave the host as it was found; never raises."""
        if self.stuck:
            return
        with self.role.telling():
            self.prepared.discard()
        with self.role.telling():
            self.back.close()

    def finish(self) -> None:
        """There is no way back now: let go of what ran before, and write it down; never raises."""
        for sentence, name in self.untold:
            self.role.wanted.warn(sentence, id=name)
        with self.role.telling():
            self.prepared.finish()
        self.back.pop_all()
        self.role.took(self)


def _prepare(role: RunningRole, part: Part, fingerprint: str, back: ExitStack) -> Change:
    host, kind = role.host, ROLES[part.role]
    interface = role.serving(role.interface, part)
    untold: list[tuple[str, str | None]] = []

    def warn(sentence: str, /, *, id: str | None = None) -> None:  # noqa: A002
        untold.append((sentence, id))

    kind.refuse(interface)
    mac, heard = kind.hears(part), None
    if mac is not None:
        heard = mac if role.heard == mac else None
        if host.listen_to(interface, mac, join=True):
            back.callback(host.listen_to, interface, mac, join=False)
            heard = mac
    managed = role.managed if interface.segment == role.interface.segment else set[Address]()
    back.callback(role.forget, addresses_of(part.plan) - managed, index=interface.segment)
    asked = {address: role.macs.get(address) for address in role.managed | role.macs.keys()}
    resolved = resolve(
        host,
        part.plan,
        interface,
        asked,
        warn,
        follow=role.neighbour_changed if role.published else None,
    )
    mode, offloads = _keep_tags(role, part, back, warn)
    told = Told(
        interface.mac,
        frozenset(kind.on_link(host, interface)),
        kind.own_macs(host, part, interface),
    )
    wish = Wish(
        node=role.wanted.node,
        plan=part.plan,
        interface=interface,
        mode=mode,
        macs=resolved.macs,
        cluster_mac=mac,
        on_link=told.on_link,
        own_macs=told.own_macs,
    )
    prepared = role.planes.prepare(wish, role.plane)
    return Change(
        role=role,
        part=part,
        interface=interface,
        fingerprint=fingerprint,
        macs=resolved.macs,
        managed=resolved.managed,
        heard=heard,
        told=told,
        offloads=offloads,
        prepared=prepared,
        back=back,
        untold=untold,
    )


def _keep_tags(
    role: RunningRole, part: Part, back: ExitStack, warn: Warn
) -> tuple[str, tuple[str, ...]]:
    """(mode, offloads switched off): an XDP program must see VLAN tags in the frame.

    A card may put them beside it, where XDP does not see them: a native program would send
    a frame of VLAN 5 on untagged, into another network, and a generic one takes frames of
    every VLAN for untagged ones.  A sender is shown what is beside the frame.
    """
    host, interface = role.host, role.interface
    mode, kind, name = role.mode_asked(part), ROLES[part.role], interface.name
    generic = not kind.wants_native(interface, mode)
    # What is beside a frame on a veth was put there by its peer, whatever the veth offloads.
    if kind.side != "XDP" or (generic and interface.kind == "veth"):
        return mode, role.offloads
    found = host.strips_vlan_tags(name)
    try:
        host.switch_offloads(name, found, on=False)
    except HostError as error:
        if generic:
            warn(f"{error}, so frames of every VLAN are taken for untagged ones")
            return mode, role.offloads
        sentence = f"{error}, so VLAN frames would be forwarded without their tag"
        if mode == "native":
            raise HostError(
                f"{sentence}; use --mode generic, or the VLAN interface itself"
            ) from None
        warn(f"{sentence} in native mode; {name} runs in generic mode")
        return "generic", role.offloads
    if found:
        back.callback(host.switch_offloads, name, found, on=True)
    return mode, tuple(dict.fromkeys((*role.offloads, *found)))
