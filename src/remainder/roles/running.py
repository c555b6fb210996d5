"""One role of one node on this machine: attach, publish, follow, adopt, detach.

The same for balancer, member and sender; what differs is in their own files.
Claims: 1b, 3-5, 18, 31, 34, 44.
Laws: publishing is one write; the data plane outlives the process.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from pathlib import Path

from remainder.errors import HostError
from remainder.fleet import Part
from remainder.flow import Address
from remainder.kernel import dataplane, hook, image, netlink, pins
from remainder.kernel.dataplane import Dataplane
from remainder.kernel.netlink import Interface, Neighbour
from remainder.kernel.pins import Attached
from remainder.observe import state
from remainder.plan import Plan, Role
from remainder.roles import ROLES, notes
from remainder.roles.current import Current, load
from remainder.roles.segment import addresses_of, check_servers, resolve


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
    """A role that runs.  Make one with ``start``."""

    wanted: Wanted
    part: Part
    interface: Interface
    mode: str
    current: Current
    fingerprint: str  # of the file
    asked: tuple[str | None, str]  # interface and mode, at the start
    macs: dict[Address, bytes] = field(default_factory=dict)
    assigned: set[Address] = field(default_factory=set)
    managed: set[Address] = field(default_factory=set)
    published: int = 0
    refused: state.Refused | None = None

    # -- life ------------------------------------------------------------------

    @property
    def role(self) -> Role:
        """Which one."""
        return self.part.role

    @property
    def plan(self) -> Plan:
        """What it calculates."""
        return self.part.plan

    @classmethod
    def start(cls, wanted: Wanted, part: Part, fingerprint: str) -> RunningRole:
        """Load or adopt, publish, attach.  Raises HostError with nothing changed."""
        name = wanted.interface or part.interface
        if name is None:
            raise HostError(
                f"no interface is named for node {wanted.node!r}; give --interface, "
                f"or write [[balancer]] name and interface into {wanted.file}"
            )
        interface = netlink.interface(name)
        check_servers(part.plan, interface)
        for sentence in ROLES[part.role].warn_of(part, interface):
            wanted.warn(sentence)
        pins.ensure_bpffs()
        found = pins.find(wanted.node, part.role)
        if found is not None and found.ifindex != interface.index:
            wanted.warn(
                f"node {wanted.node!r} ran on an interface that is gone or another one, or was "
                f"detached by hand; starting afresh on {name}"
            )
            found.close()
            pins.remove(wanted.node, part.role)
            found, interface = None, netlink.interface(name)  # without what was removed
        if found:
            return cls._adopt(wanted, part, interface, found, fingerprint)
        return cls._begin(wanted, part, interface, fingerprint)

    @classmethod
    def _begin(
        cls, wanted: Wanted, part: Part, interface: Interface, fingerprint: str
    ) -> RunningRole:
        hooks = ROLES[part.role]
        hooks.refuse(interface)
        if not interface.up:
            wanted.warn(
                f"{interface.name} is down; `ip link set {interface.name} up` lets packets in"
            )
        plan = part.plan
        numbers, _ = image.allocate_counters(plan, {})
        try:
            macs = resolve(plan, interface.index, {}, wanted.warn)
        except BaseException:  # Ctrl-C among them: nobody else would ask the kernel to stop
            netlink.forget(interface.index, addresses_of(plan))
            raise
        loaded = dataplane.load(image.capacity_for(plan), image.features_of(plan), role=part.role)
        tables = loaded.tables()
        hooks.prepare(tables, part, interface)
        tables.publish(image.image_of(plan, loaded.capacity, counters=numbers, macs=macs))
        pins.remove(wanted.node, part.role)
        folder = pins.next_folder(wanted.node, part.role)
        here = pins.folder_of(wanted.node, part.role)
        try:
            loaded.pin(folder)
            companion = None
            if loaded.companion_fd is not None:
                companion = hook.beside_stack(
                    loaded.companion_fd, interface.index, "ingress", here / "companion"
                )
            link, mode = hooks.attach(
                loaded.program_fd, interface, wanted.mode or part.mode, wanted.warn, here / "link"
            )
        except HostError:
            pins.remove(wanted.node, part.role)
            hooks.release(part, interface)
            netlink.forget(interface.index, addresses_of(plan))
            raise
        role = cls(
            wanted=wanted,
            part=part,
            interface=interface,
            mode=mode,
            current=Current(
                wanted.node,
                Attached(link, companion, interface.index, folder, loaded),
                tables,
                numbers,
            ),
            fingerprint=fingerprint,
            asked=_asked(wanted, part),
            macs=macs,
            managed=addresses_of(plan),
            published=1,
        )
        role.note()
        return role

    @classmethod
    def _adopt(
        cls, wanted: Wanted, part: Part, interface: Interface, found: Attached, fingerprint: str
    ) -> RunningRole:
        before = state.read(wanted.node, part.role)
        if before is None:
            wanted.warn(
                "the running data plane is adopted, but its notes are gone: counters start at 0"
            )
        asked = _asked(wanted, part)
        if before is not None and part.role != "sender" and asked[1] not in ("auto", before.mode):
            wanted.warn(
                f"the data plane that runs already is in {before.mode} mode and stays so; "
                f"`remainder detach --node {wanted.node}` first to have it {asked[1]}"
            )
        code = dataplane.code_fingerprint(part.role)
        loaded = None
        if before is None or before.fingerprint_program != code or not found.dataplane.is_ours:
            # Another build: how its tables are laid out is not for us to know.
            loaded = load(part, found.dataplane)
        role = cls(
            wanted=wanted,
            part=part,
            interface=interface,
            mode=_mode_of(found, interface),
            current=Current(
                wanted.node,
                found,
                (loaded or found.dataplane).tables(),
                notes.numbers_of(before),
            ),
            fingerprint=fingerprint,
            asked=asked,
            macs=notes.macs_of(before),
            assigned={ip_address(text) for text in before.assigned} if before else set(),
            managed={ip_address(text) for text in before.managed} if before else set(),
        )
        role.use(part, fingerprint, loaded or role.current.program_for(part))
        return role

    def stop(self) -> None:
        """Detach, and take back what was put on this machine."""
        for address in self.assigned:
            netlink.remove_address(self.interface.index, address)
        ROLES[self.role].release(self.part, self.interface)
        self.current.attached.close()
        pins.remove(self.wanted.node, self.role)
        netlink.forget(self.interface.index, self.managed)
        state.remove(self.wanted.node, self.role)

    # -- publishing --------------------------------------------------------------

    def use(self, part: Part, fingerprint: str, loaded: Dataplane | None) -> None:
        """Publish a plan that was checked: in place, or by its program in the old link.

        ``loaded`` is what ``current.program_for`` said.  Raises HostError with the running tables
        untouched.
        """
        plan, before = part.plan, self.part
        if _asked(self.wanted, part) != self.asked:
            self.wanted.warn(
                "another interface or mode in the file is not followed; "
                "stop this process and start it again"
            )
        managed = addresses_of(plan)
        try:
            macs = resolve(
                plan, self.interface.index, self.macs, self.wanted.warn, asked=self.managed
            )
            self.current.publish(part, self.interface, macs, loaded=loaded)
        except BaseException:
            netlink.forget(self.interface.index, managed - self.managed)
            if loaded is not None:
                loaded.close()
            raise
        gone = self.managed - managed
        self.part, self.fingerprint, self.macs, self.managed = part, fingerprint, macs, managed
        self.published += 1
        self.refused = None
        if part.cluster_mac != before.cluster_mac:
            ROLES[self.role].release(before, self.interface)
        netlink.forget(self.interface.index, gone)
        self.note()

    # -- following the segment ------------------------------------------------------

    def neighbour_changed(self, neighbour: Neighbour) -> None:
        """A server has another MAC, or answers at last.  A silent one keeps its last MAC."""
        if neighbour.address not in self.managed or not neighbour.valid or not neighbour.mac:
            return
        if self.macs.get(neighbour.address) != neighbour.mac:
            self.macs[neighbour.address] = neighbour.mac
            self.current.tables.set_mac(neighbour.address, neighbour.mac)
            kind = "router" if self.role == "sender" else "server"
            self.wanted.say(f"{kind} {neighbour.address} is at {neighbour.mac.hex(':')}")
            self._write_state()

    def interface_changed(self, interface: Interface) -> None:
        """Our own MAC may have changed, or the interface went down or came up."""
        if interface.index != self.interface.index:
            return
        if interface.up != self.interface.up:
            self.wanted.warn(f"{interface.name} is {'up' if interface.up else 'down'}")
            self.interface = replace(self.interface, up=interface.up)
        if interface.index == self.interface.index and interface.mac != self.interface.mac:
            self.interface = interface
            self.current.tables.set_own_mac(interface.mac)
            self.wanted.say(f"{interface.name} is at {interface.mac.hex(':')}")

    def look_again(self) -> None:
        """Read all neighbours: some messages were lost."""
        for neighbour in netlink.neighbours(self.interface.index).values():
            self.neighbour_changed(neighbour)

    # -- notes ------------------------------------------------------------------------

    def note(self) -> None:
        """Put the VIPs where the file wants them, and write down what runs."""
        wanted = self.plan.vips if self.part.assign_vips else frozenset[Address]()
        for address in self.assigned - wanted:
            netlink.remove_address(self.interface.index, address)
        added = {
            address
            for address in wanted - self.assigned
            if netlink.add_address(self.interface.index, address)
        }
        self.assigned = (self.assigned & wanted) | added
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
                f"{state.RUN} cannot be written ({error.strerror}): `status` shows what was before"
            )

    def _state(self) -> state.State:
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
            fingerprint_program=dataplane.code_fingerprint(self.role),
            assigned=sorted(map(str, self.assigned)),
            managed=sorted(map(str, self.managed)),
            cluster_mac=self.part.cluster_mac.hex(":") if self.part.cluster_mac else None,
            refused=self.refused,
            services=notes.services(self.plan, self.current.numbers, self.macs),
        )


def _mode_of(found: Attached, interface: Interface) -> str:
    """How what was found is attached: as the interface says of XDP, else the way."""
    way = found.link.way
    return (interface.xdp_mode or "native") if way == "XDP" else way


def _asked(wanted: Wanted, part: Part) -> tuple[str | None, str]:
    """(interface, XDP mode); the command line goes before the file."""
    return wanted.interface or part.interface, wanted.mode or part.mode
