"""The balancer on this machine: attach, publish, follow, adopt, detach.

Claims: 1b, 3-5, 18, 31.
Twin: bpf/balancer.bpf.c.
Laws: publishing is one write; the data plane outlives the process.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address

from remainder.config import Config
from remainder.errors import HostError
from remainder.flow import Address
from remainder.kernel import counters, dataplane, image, libbpf, netlink, pins, state
from remainder.kernel.image import OwnerName
from remainder.kernel.netlink import Interface, Neighbour
from remainder.kernel.pins import Attached
from remainder.kernel.tables import Tables
from remainder.plan import Plan, make_plan
from remainder.roles import notes
from remainder.roles.attachment import attach, foreign_program
from remainder.roles.segment import addresses_of, check_servers, resolve
from remainder.sources.file import Source


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the user asked for on the command line."""

    source: Source
    node: str
    interface: str | None = None
    mode: str | None = None
    say: Callable[[str], None]
    warn: Callable[[str], None]


@dataclass
class BalancerRole:
    """A balancer that runs.  Make one with ``start``."""

    wanted: Wanted
    interface: Interface
    mode: str
    attached: Attached
    tables: Tables
    config: Config
    plan: Plan
    numbers: dict[OwnerName, int]
    macs: dict[Address, bytes] = field(default_factory=dict)
    assigned: set[Address] = field(default_factory=set)
    managed: set[Address] = field(default_factory=set)
    published: int = 0

    # -- life ------------------------------------------------------------------

    @classmethod
    def start(cls, wanted: Wanted) -> BalancerRole:
        """Load or adopt, publish, attach.  Raises ConfigError or HostError with nothing changed."""
        config = wanted.source.load()
        plan = make_plan(config)
        section = config.balancer_named(wanted.node)
        name = wanted.interface or (section.interface if section else None)
        if name is None:
            raise HostError(
                f"no interface is named for node {wanted.node!r}; give --interface, "
                f"or write [[balancer]] name and interface into {wanted.source.path}"
            )
        interface = netlink.interface(name)
        check_servers(plan, interface)
        pins.ensure_bpffs()
        mode = wanted.mode or (section.mode if section else "auto")
        found = pins.find(wanted.node)
        if found is not None and found.ifindex != interface.index:
            wanted.warn(
                f"node {wanted.node!r} ran on an interface that is gone or another one; "
                f"starting afresh on {name}"
            )
            _close(found)
            pins.remove(wanted.node)
            found = None
        if found:
            return cls._adopt(wanted, config, plan, interface, found)
        role = cls._begin(wanted, config, plan, interface, mode)
        role.note()
        return role

    @classmethod
    def _begin(
        cls, wanted: Wanted, config: Config, plan: Plan, interface: Interface, mode: str
    ) -> BalancerRole:
        if interface.xdp_program is not None:
            raise foreign_program(interface)
        if not interface.up:
            wanted.warn(
                f"{interface.name} is down; `ip link set {interface.name} up` lets packets in"
            )
        numbers, _ = image.allocate_counters(plan, {})
        macs = resolve(plan, interface.index, {}, wanted.warn)
        loaded = dataplane.load(image.capacity_for(plan), image.features_of(plan))
        tables = loaded.tables()
        tables.set_own_mac(interface.mac)
        tables.publish(image.image_of(plan, loaded.capacity, counters=numbers, macs=macs))
        pins.remove(wanted.node)
        folder = pins.next_folder(wanted.node)
        try:
            loaded.pin(folder)
            link_fd, mode = attach(loaded.program_fd, interface, mode, wanted.warn)
            libbpf.pin(link_fd, pins.folder_of(wanted.node) / "link")
        except HostError:
            pins.remove(wanted.node)
            netlink.forget(interface.index, addresses_of(plan))
            raise
        attached = Attached(link_fd, interface.index, folder, loaded)
        return cls(
            wanted, interface, mode, attached, tables, config, plan, numbers,
            macs=macs, managed=addresses_of(plan), published=1,
        )  # fmt: skip

    @classmethod
    def _adopt(
        cls, wanted: Wanted, config: Config, plan: Plan, interface: Interface, found: Attached
    ) -> BalancerRole:
        before = state.read(wanted.node)
        if before is None:
            wanted.warn(
                "the running data plane is adopted, but its notes are gone: counters start at 0"
            )
        role = cls(
            wanted,
            interface,
            interface.xdp_mode or (before.mode if before else "native"),
            found,
            found.dataplane.tables(),
            config,
            plan,
            notes.numbers_of(before),
            macs=notes.macs_of(before),
            assigned={ip_address(text) for text in before.assigned} if before else set(),
            managed={ip_address(text) for text in before.managed} if before else set(),
        )
        role.tables.set_own_mac(interface.mac)
        role.use(config, upgrade=before is None or _program_changed(before))
        return role

    def stop(self) -> None:
        """Detach, and take back what was put on this machine."""
        for address in self.assigned:
            netlink.remove_address(self.interface.index, address)
        _close(self.attached)
        pins.remove(self.wanted.node)
        netlink.forget(self.interface.index, self.managed)
        state.remove(self.wanted.node)

    # -- publishing --------------------------------------------------------------

    def reload(self) -> None:
        """Read the file again and publish it.  Raises with the running tables untouched."""
        config = self.wanted.source.load()
        config.balancer_named(self.wanted.node)
        self.use(config)

    def use(self, config: Config, *, upgrade: bool = False) -> None:
        """Publish a configuration: in place if it fits, else by a new program in the old link."""
        plan = make_plan(config)
        check_servers(plan, self.interface)
        gone = self.managed - addresses_of(plan)
        self.macs = resolve(plan, self.interface.index, self.macs, self.wanted.warn)
        self.managed = addresses_of(plan)
        numbers, fresh = image.allocate_counters(plan, self.numbers)
        running = self.attached.dataplane
        if upgrade or not running.serves(plan):
            self._replace(plan, numbers)
        else:
            self._publish(plan, numbers)
        for number in fresh:
            counters.write(self.attached.dataplane.maps["servers"], number)
        self.config, self.plan, self.numbers = config, plan, numbers
        netlink.forget(self.interface.index, gone)
        self.note()

    def _publish(self, plan: Plan, numbers: dict[OwnerName, int]) -> None:
        self.tables.publish(
            image.image_of(plan, self.attached.dataplane.capacity, counters=numbers, macs=self.macs)
        )
        self.published += 1

    def _replace(self, plan: Plan, numbers: dict[OwnerName, int]) -> None:
        """Load a program with other features or more room, and let the link run it."""
        old = self.attached
        loaded = dataplane.load(
            image.capacity_for(plan),
            image.features_of(plan),
            counters={name: old.dataplane.maps[name] for name in ("outcomes", "servers")},
        )
        for name, number in self.numbers.items():
            if loaded.capacity.counters != old.dataplane.capacity.counters and name in numbers:
                count = counters.read(old.dataplane.maps["servers"], number)
                counters.write(loaded.maps["servers"], number, count)
        tables = loaded.tables()
        tables.set_own_mac(self.interface.mac)
        tables.publish(image.image_of(plan, loaded.capacity, counters=numbers, macs=self.macs))
        folder = pins.next_folder(self.wanted.node)
        loaded.pin(folder)
        libbpf.update_link(old.link_fd, loaded.program_fd)
        self.attached = Attached(old.link_fd, old.ifindex, folder, loaded)
        self.tables = tables
        self.published += 1
        pins.remove_others(self.wanted.node, folder)
        old.dataplane.close()

    # -- following the segment ------------------------------------------------------

    def neighbour_changed(self, neighbour: Neighbour) -> None:
        """A server has another MAC, or answers at last.  A silent one keeps its last MAC."""
        if neighbour.address not in self.managed or not neighbour.valid or not neighbour.mac:
            return
        if self.macs.get(neighbour.address) != neighbour.mac:
            self.macs[neighbour.address] = neighbour.mac
            self.tables.set_mac(neighbour.address, neighbour.mac)
            self.wanted.say(f"server {neighbour.address} is at {neighbour.mac.hex(':')}")
            self._write_state()

    def interface_changed(self, interface: Interface) -> None:
        """Our own MAC may have changed."""
        if interface.index == self.interface.index and interface.mac != self.interface.mac:
            self.interface = interface
            self.tables.set_own_mac(interface.mac)
            self.wanted.say(f"{interface.name} is at {interface.mac.hex(':')}")

    def look_again(self) -> None:
        """Read all neighbours: some messages were lost."""
        for neighbour in netlink.neighbours(self.interface.index).values():
            self.neighbour_changed(neighbour)

    # -- notes ------------------------------------------------------------------------

    def note(self) -> None:
        """Put the VIPs where the file wants them, and write down what runs."""
        self._assign_vips()
        self._write_state()

    def _assign_vips(self) -> None:
        section = self.config.balancer_named(self.wanted.node)
        wanted = self.plan.vips if section and section.assign_vips else frozenset[Address]()
        for address in self.assigned - wanted:
            netlink.remove_address(self.interface.index, address)
        added = {
            address
            for address in wanted - self.assigned
            if netlink.add_address(self.interface.index, address)
        }
        self.assigned = (self.assigned & wanted) | added

    def _write_state(self) -> None:
        state.write(
            state.State(
                node=self.wanted.node,
                pid=os.getpid(),
                file=str(self.wanted.source.path.absolute()),
                interface=self.interface.name,
                mode=self.mode,
                published=self.published,
                fingerprint_file=self.wanted.source.fingerprint,
                fingerprint_tables=self.plan.fingerprint,
                fingerprint_program=dataplane.code_fingerprint(),
                assigned=sorted(map(str, self.assigned)),
                managed=sorted(map(str, self.managed)),
                services=notes.services(self.plan, self.numbers, self.macs),
            )
        )


def detach(node: str) -> bool:
    """Stop a data plane that nobody tends; False if there is none.

    Raises HostError if a process runs the node: that one should be stopped.
    """
    with state.sole_writer(node):
        before = state.read(node)
        if before is None and not pins.folder_of(node).exists():
            return False
        pins.remove(node)
        if before is not None:
            _take_back(before)
        state.remove(node)
    return True


def _take_back(before: state.State) -> None:
    try:
        index = netlink.interface(before.interface).index
    except HostError:
        return  # the interface is gone, and with it what stood on it
    for text in before.assigned:
        netlink.remove_address(index, ip_address(text))
    netlink.forget(index, [ip_address(text) for text in before.managed])


def _program_changed(before: state.State) -> bool:
    return before.fingerprint_program != dataplane.code_fingerprint()


def _close(attached: Attached) -> None:
    attached.dataplane.close()
    os.close(attached.link_fd)
