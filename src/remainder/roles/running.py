"""One role of one node on this machine: found, changed, followed, stopped.

The same for balancer, member and sender; what differs is in their own files.
Claims: 1b, 3-5, 18, 31, 34, 44.
Laws: prepare everything, then commit (change.py); the data plane outlives the process.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
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
from remainder.messages import Warn
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
    warn: Warn


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
    beside: Callable[[], Iterable[RunningRole]] = tuple
    """The other roles of the node."""
    elsewhere: state.State | None = None
    """What was noted of another interface, to be taken back."""
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
                f"no interface given for node {wanted.node!r}; use --interface, or add a "
                f"[[balancer]] section with name and interface to {wanted.file}",
                id="interface-not-given",
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
        for sentence, name in ROLES[part.role].warnings(host, part, interface):
            wanted.warn(sentence, id=name)
        if not interface.up:
            wanted.warn(
                f"{interface.name} is down; bring it up with `ip link set {interface.name} up`"
            )
        runs_here = plane is not None and plane.ifindex == interface.index
        role._recall(before, runs_here=runs_here)
        if runs_here:
            role._warn_of_what_stays(before)
        elif plane is not None:
            wanted.warn(
                f"node {wanted.node!r} was running on another interface, on one that disappeared, "
                f"or was detached manually; starting afresh on {interface.name}"
            )
        return role

    def _recall(self, before: state.State | None, *, runs_here: bool) -> None:
        """Go on where the process before has ended; what it put elsewhere is taken back later."""
        if before is None:
            return
        if runs_here:
            self.macs = notes.macs_of(before)
        if before.interface != self.interface.name:
            self.elsewhere = before
            return
        self.assigned = {ip_address(text) for text in before.assigned}
        self.managed = {ip_address(text) for text in before.managed}
        self.offloads = tuple(before.offloads)
        self.heard = notes.mac_of(before.cluster_mac)

    def _warn_of_what_stays(self, before: state.State | None) -> None:
        if before is None:
            self.wanted.warn(
                "taking over the running data plane; its state file is missing, so counters "
                "restart at 0"
            )
        elif ROLES[self.role].side == "XDP" and self.asked[1] not in ("auto", self.mode):
            self.wanted.warn(
                f"the running data plane stays in {self.mode} mode; to switch to {self.asked[1]}, "
                f"run `remainder detach --node {self.wanted.node}` first"
            )

    def mode_asked(self, part: Part) -> str:
        """How its plane shall be attached; one that is attached stays as it is."""
        if self.plane is not None and self.plane.ifindex == self.interface.index:
            return self.plane.mode
        return _asked(self.wanted, part)[1]

    def stop(self) -> None:
        """Detach, and take back what was put on this machine; what fails is told."""
        index = self.interface.index
        for address in self.assigned:
            with self.telling():
                self.host.remove_address(index, address)
        if self.heard is not None:
            with self.telling():
                self.host.listen_to(self.interface, self.heard, join=False)
        self.close()
        with self.telling():
            self.planes.remove(self.wanted.node, self.role)
        self._give_back(self.offloads)
        self.forget(self.managed)
        state.remove(self.wanted.node, self.role)

    @contextmanager
    def telling(self) -> Iterator[None]:
        """For what comes after a commit: a refusal is told, and ends nothing."""
        try:
            yield
        except HostError as error:
            self.wanted.warn(str(error))

    def forget(self, addresses: Collection[Address]) -> None:
        """Let go of neighbours, but for those that another role here still needs."""
        index = self.interface.index
        needed = {
            address
            for other in self.beside()
            if other.interface.index == index
            for address in other.managed
        }
        with self.telling():
            self.host.forget(index, set(addresses) - needed)

    def close(self) -> None:
        """Let go of the plane; it runs on."""
        if self.plane is not None:
            self.plane.close()

    # -- changing: see change.py --------------------------------------------------

    def prepare(self, part: Part, fingerprint: str) -> Change:
        """Ready to become what a part says.  Raises HostError with nothing changed."""
        if self.published and _asked(self.wanted, part) != self.asked:
            self.wanted.warn(
                "a changed interface or mode takes effect only after a restart of this process",
                id="restart-needed",
            )
        return Change.prepare(self, part, fingerprint)

    def took(self, change: Change) -> None:
        """A change is what runs now: note it, and let go of what it does not need."""
        part = change.part
        hears = ROLES[part.role].hears(part)
        gone, heard = self.managed - addresses_of(part.plan), self.heard
        self.part, self.fingerprint, self.macs = part, change.fingerprint, change.macs
        self.managed, self.heard = addresses_of(part.plan), hears
        self.offloads = change.offloads
        self.published += 1
        self.refused = None
        self._write_state()  # at once: the next process finds its counters by it
        if heard is not None and heard != hears:
            with self.telling():
                self.host.listen_to(self.interface, heard, join=False)
        self.forget(gone)
        if self.mode != "native":
            self._give_back(self.offloads)
            self.offloads = ()
        if self.elsewhere is not None:
            with self.telling():
                take_back(self.host, self.elsewhere)
            self.elsewhere = None
        self.assign()
        self._write_state()

    def _give_back(self, offloads: tuple[str, ...]) -> None:
        with suppress(HostError):  # the interface may be gone
            self.host.switch_offloads(self.interface.name, offloads, on=True)

    def assign(self) -> None:
        """Put the VIPs where the file wants them; what the host refuses is told."""
        index = self.interface.index
        wanted = self.plan.vips if self.part.assign_vips else frozenset[Address]()
        for address in sorted(self.assigned - wanted, key=str):
            with self.telling():
                self.host.remove_address(index, address)
                self.assigned.discard(address)
        for address in sorted(wanted, key=str):
            with self.telling():
                if self.host.add_address(index, address):
                    self.assigned.add(address)

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

    def look_for_own_macs(self) -> None:
        """Interfaces or addresses have changed, so other MAC addresses may be ours."""
        if self.plane is None:
            return
        with self.telling():
            own = ROLES[self.role].own_macs(self.host, self.part, self.interface)
            self.plane.set_own_macs(own)

    def look_for_losses(self) -> None:
        """Name what the driver loses of what we send back, once until it loses nothing more."""
        if self.mode != "native" or self.host.now_s() - self.counted_s < LOSSES_S:
            return
        now = self.host.lost(self.interface.name)
        grown = 0 if now is None or self.lost is None else now - self.lost
        if grown > 0 and not self.losing:
            self.wanted.warn(
                f"{self.interface.name} dropped {grown} forwarded frames in native mode: its "
                f"transmit queues are full, or it is a veth whose peer has no XDP program"
            )
        self.counted_s, self.losing, self.lost = self.host.now_s(), grown > 0, now

    def look_again(self) -> None:
        """Read all neighbours and interfaces: some messages were lost."""
        self.look_for_own_macs()
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
                f"cannot write {state.RUN} ({error.strerror}); `status` shows outdated information"
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
            fingerprint_program=(self.plane.code if self.plane is not None else None) or "",
            assigned=sorted(map(str, self.assigned)),
            managed=sorted(map(str, self.managed)),
            offloads=list(self.offloads),
            cluster_mac=self.heard.hex(":") if self.heard else None,
            refused=self.refused,
            services=notes.services(self.plan, numbers, self.macs),
        )


def take_back(host: Host, before: state.State) -> None:
    """Take back what a process put on an interface, by its notes."""
    try:
        interface = host.interface(before.interface)
    except HostError:
        return  # the interface is gone, and with it what stood on it
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
