"""One role of one node on this machine: found, changed, followed, stopped.

The same for balancer, member and sender; what differs is in their own files.
Claims: 1b, 3-5, 18, 31, 34, 44.
Laws: prepare everything, then commit (change.py); the data plane outlives the process.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path

from remainder.errors import HostError
from remainder.fleet import Part
from remainder.flow import Address
from remainder.kernel.host import Host
from remainder.kernel.neighbours import Neighbour
from remainder.kernel.netlink import Interface
from remainder.kernel.plane import Plane, Planes
from remainder.messages import Warn
from remainder.observe import state
from remainder.plan import Plan, Role
from remainder.roles import ROLES, notes
from remainder.roles.change import Change
from remainder.roles.leaving import take_back
from remainder.roles.losses import Losses
from remainder.roles.reconcile import Told
from remainder.roles.segment import addresses_of, on_vlan


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
    """A MAC address that the interface listens to because we asked."""
    told: Told = field(default_factory=lambda: Told(b""))
    stands_by: bool = False
    """Somebody else, keepalived, moves the VIPs and announces them."""
    gone: bool = False
    """The interface is; we wait for its return."""
    lost: bool = False
    """Its program does not run, and that has been told."""
    vips_here: frozenset[Address] = frozenset()
    announcements: list[float] = field(default_factory=list)
    """When they are due."""
    mended: int = 0
    """Looks that found something to mend."""
    fought: int = 0
    """Those that found the same as the look before: somebody may want it otherwise."""
    last_mended: list[str] = field(default_factory=list)
    trouble: str | None = None
    """What the host refuses us, until it does no longer."""
    losses: Losses = field(default_factory=Losses)
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

    @cached_property
    def _reached(self) -> set[Address]:
        return addresses_of(self.part.plan)

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
        before = state.read(wanted.node, part.role)
        interface = on_vlan(host, _interface(host, asked[0], before, wanted.warn), part.vlan)
        plane = planes.find(
            wanted.node,
            part.role,
            notes.numbers_of(before),
            code=before.fingerprint_program if before is not None else None,
        )
        role = cls(wanted, host, planes, part, interface, plane, asked)
        try:
            role._adopt(before)
        except BaseException:  # tried again and again, it would hold more each time
            role.close()
            raise
        return role

    def _adopt(self, before: state.State | None) -> None:
        """Tell what is not as it should be, and go on where the process before has ended."""
        host, part, interface, plane = self.host, self.part, self.interface, self.plane
        wanted = self.wanted
        for sentence, name in ROLES[part.role].warnings(host, part, interface):
            wanted.warn(sentence, id=name)
        if not interface.up:
            wanted.warn(
                f"{interface.name} is down; bring it up with `ip link set {interface.name} up`"
            )
        runs_here = plane is not None and plane.ifindex == interface.index
        self._recall(before, runs_here=runs_here)
        if runs_here:
            self._warn_of_what_stays(before)
        elif plane is not None:
            wanted.warn(
                f"node {wanted.node!r} was running on another interface, on one that disappeared, "
                f"or was detached manually; starting afresh on {interface.name}"
            )

    def _recall(self, before: state.State | None, *, runs_here: bool) -> None:
        """Go on where the process before has ended; what it put elsewhere is taken back later."""
        if before is None:
            self._recall_by_marks()
            return
        if runs_here:
            self.macs = notes.macs_of(before)
        if notes.index_of(before, self.host) != self.interface.index:
            self.elsewhere = before
            return
        self.assigned = {ip_address(text) for text in before.assigned}
        self.managed = {ip_address(text) for text in before.managed}
        self.offloads = tuple(before.offloads)
        self.heard = notes.mac_of(before.cluster_mac)

    def _recall_by_marks(self) -> None:
        """Without notes: what a process has put there carries its mark."""
        index = self.interface.segment
        others = [found for found in state.all_states() if found.role != self.role]
        needed = {text for other in others for text in (*other.managed, *other.assigned)}
        self.managed = {
            address
            for address, neighbour in self.host.neighbours(index).items()
            if neighbour.ours and str(address) not in needed
        }
        self.assigned = {
            address
            for address, ours in self.host.addresses_on(index).items()
            if ours and str(address) not in needed
        }

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

    def serving(self, interface: Interface, part: Part) -> Interface:
        """An interface as it serves a part: untagged, or a VLAN.  Raises HostError."""
        return on_vlan(self.host, interface, part.vlan)

    @contextmanager
    def telling(self) -> Iterator[None]:
        """For what comes after a commit: a refusal is told, and ends nothing."""
        try:
            yield
        except (HostError, OSError) as error:
            self.wanted.warn(notes.sentence_of(error))

    def forget(self, addresses: Collection[Address], *, index: int | None = None) -> None:
        """Let go of neighbours, but for those that another role here still needs."""
        index = index or self.interface.segment
        needed = {
            address
            for other in self.beside()
            if other.interface.segment == index
            for address in other.managed
        }
        with self.telling():
            self.host.forget(index, set(addresses) - needed)

    def leave_segment(self, index: int) -> None:
        """Take back what stood on an interface that is no longer the segment's."""
        self.forget(self.managed, index=index)
        self.unassign(self.assigned, index=index)
        self.managed, self.assigned = set(), set()

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
        gone, heard = self.managed - change.managed, self.heard
        if change.interface.segment != self.interface.segment:  # another VLAN
            self.leave_segment(self.interface.segment)
            gone = set()
        self.interface = change.interface
        self.part, self.fingerprint, self.macs = part, change.fingerprint, change.macs
        self.__dict__.pop("_reached", None)
        self.managed, self.heard = set(change.managed), change.heard
        self.told = change.told
        self.offloads = change.offloads
        self.published += 1
        self.refused, self.lost = None, False
        self._write_state()  # at once: the next process finds its counters by it
        if heard is not None and heard != hears:
            with self.telling():
                self.host.listen_to(self.interface, heard, join=False)
        self.forget(gone)
        if self.elsewhere is not None:
            with self.telling():
                take_back(self.host, self.elsewhere)
            self.elsewhere = None
        self.assign()
        self._write_state()

    def assign(self) -> None:
        """Put the VIPs where the file wants them; what the host refuses is told."""
        wanted = self.plan.vips if self.part.assign_vips else frozenset[Address]()
        gone = self.assigned - wanted
        self.assigned -= self.unassign(gone, index=self.interface.segment)
        for refusal in self.put(wanted):
            self.wanted.warn(notes.sentence_of(refusal))

    def put(self, vips: Collection[Address]) -> list[HostError | OSError]:
        """Put VIPs on the interface; what was refused, which keeps no other away."""
        refusals: list[HostError | OSError] = []
        for address in sorted(vips, key=str):
            try:
                if self.host.add_address(self.interface.segment, address):
                    self.assigned.add(address)
            except (HostError, OSError) as error:
                refusals.append(error)
        return refusals

    def unassign(self, vips: Collection[Address], *, index: int) -> set[Address]:
        """Take VIPs off an interface; those that are gone.  What the host refuses is told."""
        gone = set()
        for address in sorted(vips, key=str):
            with self.telling():
                self.host.remove_address(index, address)
                gone.add(address)
        return gone

    # -- following the segment -----------------------------------------------------

    def neighbour_changed(self, neighbour: Neighbour) -> None:
        """A server has another MAC, or answers at last.  A silent one keeps its last MAC."""
        mac = neighbour.believable(self.interface.mac)
        if mac is None or self.plane is None or neighbour.address not in self._reached:
            return
        if self.macs.get(neighbour.address) != mac:
            self.macs[neighbour.address] = mac
            self.plane.set_mac(neighbour.address, mac)
            owner = ROLES[self.role].owner
            self.wanted.say(f"{owner} {neighbour.address} is at {mac.hex(':')}")
            self._write_state()

    def concerns(self, index: int | None) -> bool:
        """Whether what happens to an interface (None: to any) may matter here."""
        here = index in (None, self.interface.index, self.interface.segment)
        return self.gone or here or index in self.told.own_macs.near

    def needs(self, address: Address) -> bool:
        """Whether packets are sent to an address."""
        return address in self._reached

    # -- notes ----------------------------------------------------------------------

    def note_trouble(self, trouble: str | None) -> None:
        """Write down what the host refuses, or that it does no longer; told once."""
        if trouble == self.trouble:
            return
        self.trouble = trouble
        if trouble is not None:
            self.wanted.warn(f"{trouble}; trying again", id="host-refuses")
        self._write_state()

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
            ifindex=self.interface.index,
            trouble=self.trouble,
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


def _interface(host: Host, name: str, before: state.State | None, warn: Warn) -> Interface:
    """The interface of a name, or the one that had it when it was noted."""
    try:
        return host.interface(name)
    except HostError:
        if before is None or before.interface != name or not before.ifindex:
            raise
    found = host.interface_at(before.ifindex)
    warn(f"{name} is called {found.name} now, and still served; set this name in the file")
    return found


def _asked(wanted: Wanted, part: Part) -> tuple[str | None, str]:
    """(interface, XDP mode); the command line goes before the file."""
    return wanted.interface or part.interface, wanted.mode or part.mode
