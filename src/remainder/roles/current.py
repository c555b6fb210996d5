"""What a role runs now: a program, its tables, its counters; and how it comes to run another.

Laws: publishing is one write; the data plane outlives the process.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from remainder.errors import HostError
from remainder.fleet import Part
from remainder.flow import Address
from remainder.kernel import counters, dataplane, image, pins
from remainder.kernel.dataplane import Dataplane
from remainder.kernel.image import OwnerName
from remainder.kernel.netlink import Interface
from remainder.kernel.pins import Attached
from remainder.kernel.tables import Tables
from remainder.plan import Plan
from remainder.roles import ROLES


@dataclass
class Current:
    """The data plane of a node's role."""

    node: str
    attached: Attached
    tables: Tables
    numbers: dict[OwnerName, int] = field(default_factory=dict)

    def program_for(self, part: Part) -> Dataplane | None:
        """A new program, loaded, if that which runs cannot do a part; None if it can.

        Raises HostError with nothing changed.
        """
        running = self.attached.dataplane
        return None if running.serves(part.plan) else load(part, running)

    def publish(
        self,
        part: Part,
        interface: Interface,
        macs: dict[Address, bytes],
        *,
        loaded: Dataplane | None,
    ) -> None:
        """Publish a plan in place, or by a program that was loaded for it.

        Raises HostError with the running tables untouched.
        """
        if loaded is not None:
            self._replace(part, interface, macs, loaded)
            return
        ROLES[part.role].prepare(self.tables, part, interface)
        self.numbers = self._fill(
            self.tables, self.attached.dataplane, part.plan, self.numbers, macs
        )

    def _fill(
        self,
        tables: Tables,
        program: Dataplane,
        plan: Plan,
        before: dict[OwnerName, int],
        macs: dict[Address, bytes],
    ) -> dict[OwnerName, int]:
        """Make a plan the current one of some tables; the counter of each owner."""
        numbers, fresh = image.allocate_counters(plan, before)
        # Whoever left with the last publication is counted for no more, so its
        # counter is free; and set to zero before a packet of the new plan counts.
        self.tables.wait_for_readers()
        for number in fresh:
            counters.write(program.maps["servers"], number)
        tables.publish(image.image_of(plan, tables.capacity, counters=numbers, macs=macs))
        return numbers

    def _replace(
        self, part: Part, interface: Interface, macs: dict[Address, bytes], loaded: Dataplane
    ) -> None:
        """Let the interface run a program with other code, other features or more room."""
        old, tables = self.attached, loaded.tables()
        ROLES[part.role].prepare(tables, part, interface)
        before = self.numbers
        if loaded.maps["servers"].map_id != old.dataplane.maps["servers"].map_id:
            before = self._move_counters(part.plan, old.dataplane, loaded)
        numbers = self._fill(tables, loaded, part.plan, before, macs)
        folder = pins.next_folder(self.node, part.role)
        try:
            loaded.pin(folder)
            old.replace(loaded)
        except HostError:
            dataplane.unpin(folder)
            raise
        tables.begin_to_wait()  # until now packets met the old program, which counts, too
        self.attached = Attached(old.link, old.companion, old.ifindex, folder, loaded)
        self.tables, self.numbers = tables, numbers
        pins.remove_others(self.node, part.role, keep=folder)
        old.dataplane.close()

    def _move_counters(self, plan: Plan, old: Dataplane, new: Dataplane) -> dict[OwnerName, int]:
        """Into a map of another size: whoever stays is numbered anew, and keeps its count."""
        if not dataplane.counts_alike(old.maps["servers"]):
            return {}
        numbers, _ = image.allocate_counters(plan, {})
        stay = {name: numbers[name] for name in numbers if name in self.numbers}
        for name, number in stay.items():
            count = counters.read(old.maps["servers"], self.numbers[name])
            counters.write(new.maps["servers"], number, count)
        return stay


def load(part: Part, before: Dataplane) -> Dataplane:
    """A program for a part, which goes on with the counters of the one before it."""
    return dataplane.load(
        image.capacity_for(part.plan),
        image.features_of(part.plan),
        role=part.role,
        counters={name: before.maps[name] for name in ("outcomes", "servers")},
    )
