"""One role of one node on this machine: found, changed, followed, stopped.

The same for balancer, member and sender; what differs is in their own files.
Claims: 1b, 3-5, 18, 31, 34, 44.
Laws: prepare everything, then commit (change.py); the data plane outlives the process.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from remainder.errors import HostError
from remainder.fleet import Part
from remainder.flow import Address
from remainder.kernel.host import Host
from remainder.kernel.netlink import Interface, Neighbour
from remainder.kernel.plane import Plane, Planes
from remainder.observe import state
from remainder.plan import Plan, Role
from remainder.roles import ROLES, notes
from remainder.roles.change import Change
from remainder.roles.segment import addresses_of

LOSSES_S: Final = 2.0
"""How often a driver is asked what it lost of what was sent back."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the user asked for on the command line."""

    file: Path
    node: str
    interface: str | None = None
    mode: str | None = None
    say: Callable[[str], None]
    warn: Callable[[str], None]


@dataclass
class RunningRole:
    """A role of a node, from before its plane is there until after it.  Made by ``find``."""

    wanted: Wanted
    host: Host
    planes: Planes
    part: Part
    interface: Interface
    plane: Plane | None
    asked: tuple[str | None, str]
    """Interface and mode, at the start."""
    left: state.State | None = None
    """What was noted of a plane on another interface, to be taken back."""
    fingerprint: str = ""
    """Of the file."""
    macs: dict[Address, bytes] = field(default_factory=dict)
    assigned: set[Address] = field(default_factory=set)
    managed: set[Address] = field(default_factory=set)
    offloads: tuple[str, ...] = ()
    heard: bytes | None = None
    lost: int | None = None
    losing: bool = False
    counted_s: float = 0.0
    published: int = 0
    refused: state.Refused | None = None

    @property
    def role(self) -> Role:
        """Which one."""
        return self.part.role

    @property
    def plan(self) -> Plan:
        """What it calculates."""
        return self.part.plan

    @property
    def mode(self) -> str:
        """How its plane is attached."""
        return self.plane.mode if self.plane is not None else self.asked[1]

    # -- from start to stop ------------------------------------------------------

    @classmethod
    def find(cls, wanted: Wanted, host: Host, planes: Planes, part: Part) -> RunningRole:
        """What there is for a role to begin with; changes nothing.  Raises HostError."""
        asked = _asked(wanted, part)
        if asked[0] is None:
            raise HostError(
                f"no interface is named for node {wanted.node!r}; give --interface, "
                f"or write [[balancer]] name and interface into {wanted.file}"
            )
        interface = host.interface(asked[0])
        before = state.read(wanted.node, part.role)
        plane = planes.find(
            wanted.node,
            part.role,
            notes.numbers_of(before),
            code=before.fingerprint_program if before is not None else None,
        )
        role = cls(wanted, host, planes, part, interface, plane, asked)
        for sentence in ROLES[part.role].warnings(host, part, interface):
            wanted.warn(sentence)
        if plane is None:
            role.left = before
            if not interface.up:
                wanted.warn(
                    f"{interface.name} is down; `ip link set {interface.name} up` lets packets in"
                )
        elif plane.ifindex != interface.index:
            role.left = before
            wanted.warn(
                f"node {wanted.node!r} ran on an interface that is gone or another one, or was "
                f"detached by hand; starting afresh on {interface.name}"
            )
        else:
            role._recall(before)
        return role

    def _recall(self, before: state.State | None) -> None:
        """Go on where the process before has ended."""
        if before is None:
            self.wanted.warn(
                "the running data plane is adopted, but its notes are gone: counters start at 0"
            )
            return
        if ROLES[self.role].side == "XDP" and self.asked[1] not in ("auto", self.mode):
            self.wanted.warn(
                f"the data plane that runs already is in {self.mode} mode and stays so; "
                f"`remainder detach --node {self.wanted.node}` first to have it {self.asked[1]}"
            )
        self.macs = notes.macs_of(before)
        self.assigned = {ip_address(text) for text in before.assigned}
        self.managed = {ip_address(text) for text in before.managed}
        self.offloads = tuple(before.offloads)
        self.heard = notes.mac_of(before.cluster_mac)

    def mode_asked(self, part: Part) -> str:
        """How its plane shall be attached; one that is attached stays as it is."""
        if self.plane is not None and self.plane.ifindex == self.interface.index:
            return self.plane.mode
        return _asked(self.wanted, part)[1]

    def stop(self) -> None:
        """Detach, and take back what was put on this machine."""
        index = self.interface.index
        for address in self.assigned:
            self.host.remove_address(index, address)
        if self.heard is not None:
            self.host.listen_to(self.interface, self.heard, join=False)
        self.close()
        self.planes.remove(self.wanted.node, self.role)
        self._give_back(self.offloads)
        self.host.forget(index, self.managed)
        state.remove(self.wanted.node, self.role)

    def close(self) -> None:
        """Let go of the plane; it runs on."""
        if self.plane is not None:
            self.plane.close()

    # -- changing: see change.py --------------------------------------------------

    def prepare(self, part: Part, fingerprint: str) -> Change:
        """Ready to become what a part says.  Raises HostError with nothing changed."""
        if self.published and _asked(self.wanted, part) != self.asked:
            self.wanted.warn(
                "another interface or mode in the file is not followed; "
                "stop this process and start it again"
            )
        return Change.prepare(self, part, fingerprint)

    def took(self, change: Change) -> None:
        """A change is what runs now: let go of what it does not need, and write it down."""
        index, part = self.interface.index, change.part
        hears = ROLES[part.role].hears(part)
        if self.heard is not None and self.heard != hears:
            self.host.listen_to(self.interface, self.heard, join=False)
        managed = addresses_of(part.plan)
        self.host.forget(index, self.managed - managed)
        self.part, self.fingerprint, self.macs = part, change.fingerprint, change.macs
        self.managed, self.heard, self.offloads = managed, hears, change.offloads
        if self.mode != "native":
            self._give_back(self.offloads)
            self.offloads = ()
        self.published += 1
        self.refused = None
        if self.left is not None:
            take_back(self.host, self.left, but=self.interface)
            self.left = None
        self.assign()
        self._write_state()

    def _give_back(self, offloads: tuple[str, ...]) -> None:
        with suppress(HostError):  # the interface may be gone
            self.host.switch_offloads(self.interface.name, offloads, on=True)

    def assign(self) -> None:
        """Put the VIPs where the file wants them."""
        index = self.interface.index
        wanted = self.plan.vips if self.part.assign_vips else frozenset[Address]()
        for address in self.assigned - wanted:
            self.host.remove_address(index, address)
        added = {
            address for address in wanted - self.assigned if self.host.add_address(index, address)
        }
        self.assigned = (self.assigned & wanted) | added

    # -- following the segment -----------------------------------------------------

    def neighbour_changed(self, neighbour: Neighbour) -> None:
        """A server has another MAC, or answers at last.  A silent one keeps its last MAC."""
        if neighbour.address not in self.managed or not neighbour.valid or not neighbour.mac:
            return
        if self.plane is not None and self.macs.get(neighbour.address) != neighbour.mac:
            self.macs[neighbour.address] = neighbour.mac
            self.plane.set_mac(neighbour.address, neighbour.mac)
            owner = ROLES[self.role].owner
            self.wanted.say(f"{owner} {neighbour.address} is at {neighbour.mac.hex(':')}")
            self._write_state()

    def interface_changed(self, interface: Interface) -> bool:
        """Our own MAC may have changed, or the interface went down or came up.

        True: its frames have grown past what the program counts, so it must be loaded anew.
        """
        if interface.index != self.interface.index or self.plane is None:
            return False
        if interface.up != self.interface.up:
            self.wanted.warn(f"{interface.name} is {'up' if interface.up else 'down'}")
        if interface.mac != self.interface.mac:
            self.plane.set_own_mac(interface.mac)
            self.wanted.say(f"{interface.name} is at {interface.mac.hex(':')}")
        self.interface = replace(
            self.interface, up=interface.up, mac=interface.mac, mtu=interface.mtu
        )
        return not self.plane.serves(self.plan, self.interface)

    def look_for_losses(self) -> None:
        """Name what the driver loses of what we send back, once until it loses nothing more."""
        if self.mode != "native" or self.host.now_s() - self.counted_s < LOSSES_S:
            return
        now = self.host.lost(self.interface.name)
        grown = 0 if now is None or self.lost is None else now - self.lost
        if grown > 0 and not self.losing:
            self.wanted.warn(
                f"{self.interface.name} lost {grown} of the frames sent back natively: its driver "
                f"has no room for them, or it is a veth without an XDP program at its peer"
            )
        self.counted_s, self.losing, self.lost = self.host.now_s(), grown > 0, now

    def look_again(self) -> None:
        """Read all neighbours: some messages were lost."""
        for neighbour in self.host.neighbours(self.interface.index).values():
            self.neighbour_changed(neighbour)

    # -- notes ----------------------------------------------------------------------

    def note_refused(self, refused: state.Refused) -> None:
        """Write down that a new file was not taken."""
        self.refused = refused
        self._write_state()

    def _write_state(self) -> None:
        try:
            state.write(self._state())
        except OSError as error:  # a full disk must not end what forwards packets
            self.wanted.warn(
                f"{state.RUN} cannot be written ({error.strerror}): `status` shows what was before"
            )

    def _state(self) -> state.State:
        numbers = self.plane.numbers if self.plane is not None else {}
        return state.State(
            node=self.wanted.node,
            role=self.role,
            pid=os.getpid(),
            file=str(self.wanted.file.absolute()),
            interface=self.interface.name,
            mode=self.mode,
            published=self.published,
            fingerprint_file=self.fingerprint,
            fingerprint_tables=self.plan.fingerprint,
            fingerprint_program=self.planes.fingerprint(self.role),
            assigned=sorted(map(str, self.assigned)),
            managed=sorted(map(str, self.managed)),
            offloads=list(self.offloads),
            cluster_mac=self.heard.hex(":") if self.heard else None,
            refused=self.refused,
            services=notes.services(self.plan, numbers, self.macs),
        )


def take_back(host: Host, before: state.State, *, but: Interface | None = None) -> None:
    """Take back what a process put on an interface, by its notes; ``but`` is in use again."""
    try:
        interface = host.interface(before.interface)
    except HostError:
        return  # the interface is gone, and with it what stood on it
    if but is not None and interface.index == but.index:
        return
    for text in before.assigned:
        host.remove_address(interface.index, ip_address(text))
    with suppress(HostError):
        host.switch_offloads(interface.name, tuple(before.offloads), on=True)
    host.forget(interface.index, [ip_address(text) for text in before.managed])
    mac = notes.mac_of(before.cluster_mac)
    if mac is not None:
        host.listen_to(interface, mac, join=False)


def _asked(wanted: Wanted, part: Part) -> tuple[str | None, str]:
    """(interface, XDP mode); the command line goes before the file."""
    return wanted.interface or part.interface, wanted.mode or part.mode
