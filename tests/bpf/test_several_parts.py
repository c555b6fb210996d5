"""Of a node in two clusters and with two return paths, the real programs go by all of them."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from remainder.fleet import parts_of
from remainder.flow import Address
from remainder.outcome import Outcome
from remainder.plan import Plan, Role
from remainder.reference import Node
from remainder.reference.frame import frame_of
from tests import frames
from tests.bpf.kernel import kernel
from tests.several import CONFIG, MEMBER_OF, NODE, ROUTER_OF, flow_to

pytestmark = pytest.mark.bpf

CLUSTER_MAC = CONFIG.cluster[0].mac
HOST = Node(
    mac=frames.BALANCER,
    macs={ip_address(f"192.0.2.{number}"): frames.mac(number) for number in range(1, 6)},
    cluster_mac=CLUSTER_MAC,
)
NUMBERS = range(24)
DEFAULT_ROUTER = frames.mac(0xE)
"""Where the server's own route leads."""


def plan_of(role: Role) -> Plan:
    """What a process that is started for the node gives its program."""
    (plan,) = (part.plan for part in parts_of(CONFIG, NODE) if part.role == role)
    return plan


def test_a_member_of_two_clusters_keeps_its_share_of_each() -> None:
    """Whatever cluster stands first: one program, one interface."""
    seen: dict[Address, set[Outcome]] = {}
    with kernel(plan_of("member"), HOST) as running:
        for destination, member_of in MEMBER_OF.items():
            for flow in (flow_to(destination, number) for number in NUMBERS):
                result = running.process(
                    frame_of(flow, source_mac=frames.ROUTER, destination_mac=CLUSTER_MAC)
                )
                keeper = member_of(flow)

                assert keeper == result.owner
                assert (Outcome.KEPT if keeper == NODE else Outcome.LEFT) is result.outcome
                seen.setdefault(destination, set()).add(result.outcome)

    assert MEMBER_OF.keys() == seen.keys()
    assert [{Outcome.KEPT, Outcome.LEFT}] * len(MEMBER_OF) == list(seen.values())


def test_a_sender_of_two_return_paths_answers_by_that_of_the_service() -> None:
    """Whatever path stands first: each service's answers take the routers of its own."""
    seen: dict[Address, set[str]] = {}
    with kernel(plan_of("sender"), HOST) as running:
        for vip, router_of in ROUTER_OF.items():
            for flow in (flow_to(vip, number) for number in NUMBERS):
                answer = frame_of(
                    flow.reversed(), source_mac=HOST.mac, destination_mac=DEFAULT_ROUTER
                )
                result = running.process(answer)
                router = router_of(flow)

                assert (Outcome.RETURNED, router) == (result.outcome, result.owner)
                assert frames.mac(int(router[1:])) == (result.frame or b"")[:6]
                seen.setdefault(vip, set()).add(router)

    assert [{"r1", "r2", "r3"}, {"r4", "r5"}] == list(seen.values())
