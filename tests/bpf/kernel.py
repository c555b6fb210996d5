"""The real program with a plan's tables, for tests: one frame in, what became of it out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from remainder.kernel import abi, counters, dataplane, image
from remainder.kernel.abi import Feature
from remainder.kernel.own_macs import OwnMacs
from remainder.outcome import Outcome
from remainder.plan import Plan
from remainder.reference import Node, Result

XDP = {1: "drop", 2: "pass", 3: "tx"}
VERDICTS = {"balancer": XDP, "member": XDP, "sender": {2: "drop", 0xFF: "pass"}}


SERVED = {
    Outcome.FORWARDED, Outcome.FORWARDED_ERROR, Outcome.KEPT, Outcome.LEFT, Outcome.RETURNED,
}  # fmt: skip
"""Outcomes that count at an owner; no other may."""


class Kernel:
    """A loaded balancer that is not attached to anything."""

    def __init__(self, plan: Plan, node: Node, *, more: Feature = Feature(0)) -> None:
        self.plan = plan
        capacity = image.need_of(plan)
        features = dataplane.features_for(plan, mtu=0, vlan=node.vlan) | more
        self.loaded = dataplane.load(capacity, features, role=plan.role)
        self.numbers, _ = image.allocate_counters(plan, {})
        self.tables = self.loaded.tables()
        self.tables.set_own_mac(node.mac)
        self.tables.set_cluster_mac(node.cluster_mac)
        self.tables.set_vlan(node.vlan)
        self.tables.set_on_link(node.on_link)
        self.tables.set_own_macs(OwnMacs(tuple(node.accepted_macs), tuple(node.strange_macs)))
        self.tables.publish(image.image_of(plan, capacity, counters=self.numbers, macs=node.macs))
        self._outcomes = self.outcomes()
        self._sent = self.sent()

    def outcomes(self) -> dict[Outcome, counters.Count]:
        """All outcome counters."""
        return counters.outcomes(self.loaded.maps)

    def sent(self) -> dict[tuple[str, str], counters.Count]:
        """All server counters."""
        return counters.servers(self.loaded.maps, self.numbers)

    def process(self, frame: bytes) -> Result:
        """Run one frame; outcome and server are told by the counters, which must move by one."""
        verdict, after = self.loaded.run(frame)
        outcomes, sent = self.outcomes(), self.sent()
        moved = [outcome for outcome in Outcome if outcomes[outcome] != self._outcomes[outcome]]
        (outcome,) = moved
        served = [name for name, count in sent.items() if count != self._sent[name]]
        was, now = self._outcomes[outcome], outcomes[outcome]

        assert counters.Count(was.packets + 1, was.bytes + len(frame)) == now
        assert VERDICTS[self.plan.role][verdict & 0xFF] == outcome.verdict
        for name in served:
            was, now = self._sent[name], sent[name]
            assert counters.Count(was.packets + 1, was.bytes + len(frame)) == now
        self._outcomes, self._sent = outcomes, sent
        assert bool(served) == (outcome in SERVED)
        service, server = served[0] if served else (None, None)
        return Result(
            outcome, after if after != frame or outcome.verdict == "tx" else None, service, server
        )


@contextmanager
def kernel(plan: Plan, node: Node, *, more: Feature = Feature(0)) -> Iterator[Kernel]:
    """A Kernel that is unloaded at the end."""
    running = Kernel(plan, node, more=more)
    try:
        yield running
    finally:
        running.loaded.close()


def outcome_number(outcome: Outcome) -> int:
    """The kernel's number of an outcome."""
    return abi.OUTCOMES.index(outcome)
