"""Ask the real program where a flow goes, in memory.

The program is loaded beside whatever runs, with the same tables and made-up
MAC addresses, and sees one frame; nothing is attached and nothing changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from remainder.flow import ICMP, ICMPV6, Address, Flow
from remainder.kernel import abi, counters, dataplane, image, libbpf
from remainder.kernel.dataplane import Dataplane
from remainder.outcome import Outcome
from remainder.plan import Plan
from remainder.reference.frame import frame_of

OWN_MAC: Final = bytes.fromhex("020000000001")
CLIENT_MAC: Final = bytes.fromhex("0200000000fe")


class Oracle:
    """A loaded program with a plan's tables."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        capacity = image.need_of(plan)
        self._loaded: Dataplane = dataplane.load(capacity, image.features_of(plan), role=plan.role)
        self._numbers, _ = image.allocate_counters(plan, {})
        self._names = {number: name for name, number in self._numbers.items()}
        tables = self._loaded.tables()
        tables.set_own_mac(OWN_MAC)
        tables.set_cluster_mac(OWN_MAC)
        tables.set_on_link([])
        tables.publish(
            image.image_of(plan, capacity, counters=self._numbers, macs=made_up_macs(plan))
        )

    def where(self, flow: Flow) -> tuple[str, str | None]:
        """(outcome, server) by the program's own counters: what it did, not what it says.

        A sender is asked about the answer to the flow; a member that nobody is
        leaves every packet, and its counters tell to whom.
        """
        if self.plan.role == "sender":
            back = flow.reversed()
            is_icmp = flow.protocol in (ICMP, ICMPV6)
            flow = replace(back, src_port=flow.src_port, dst_port=0) if is_icmp else back
        frame = frame_of(flow, source_mac=CLIENT_MAC, destination_mac=OWN_MAC)
        maps, number_of = self._loaded.maps, range(len(self._names))
        before = [counters.read(maps["outcomes"], at).packets for at in range(len(abi.OUTCOMES))]
        served = [counters.read(maps["servers"], at).packets for at in number_of]
        self._loaded.run(frame)
        outcome = next(
            abi.OUTCOMES[at]
            for at, count in enumerate(before)
            if counters.read(maps["outcomes"], at).packets != count
        )
        server = next(
            (
                self._names[at][1]
                for at, count in enumerate(served)
                if counters.read(maps["servers"], at).packets != count
            ),
            None,
        )
        return "kept" if outcome is Outcome.LEFT else outcome.value, server

    @property
    def instructions(self) -> int:
        """Size of the program as the kernel runs it."""
        return libbpf.program_size(self._loaded.program_fd)

    def close(self) -> None:
        """Unload."""
        self._loaded.close()


@contextmanager
def oracle(plan: Plan) -> Iterator[Oracle]:
    """An Oracle that is unloaded at the end."""
    asked = Oracle(plan)
    try:
        yield asked
    finally:
        asked.close()


def made_up_macs(plan: Plan) -> dict[Address, bytes]:
    """A locally administered MAC for every server address."""
    addresses = sorted(
        {address for _, _, address in plan.reached}, key=lambda address: (address.version, address)
    )
    return {
        address: b"\x02\x01" + number.to_bytes(4, "big") for number, address in enumerate(addresses)
    }
