"""What `remainder plan` counts is what the XDP program does, to the flow."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from remainder.change.flow_lists import seen
from remainder.change.outlook import outlook
from remainder.config import Config, Server
from remainder.flow import Flow
from remainder.flows import by_family
from remainder.kernel.oracle import CLIENT_MAC, OWN_MAC, made_up_macs
from remainder.plan import Plan, make_plan
from remainder.reference import Node
from remainder.reference.frame import frame_of
from tests.bpf.kernel import kernel
from tests.fleets import SUM3, service

pytestmark = [pytest.mark.bpf, pytest.mark.slow, pytest.mark.timeout(300)]

FLOWS = 50_000
VIPS = ("203.0.113.10", "2001:db8:113::10")
SUM5 = "src_ip + src_port + dst_ip + dst_port + protocol"
HASH = "hash(src_ip, src_port)"


def file(count: int, **changed: Any) -> Config:
    """One service of each address family."""
    address = {VIPS[0]: "192.0.2.{}", VIPS[1]: "2001:db8:2::{}"}
    services = [
        service(
            name=f"web{number}",
            vip=vip,
            servers=[
                Server(name=f"s{at}", address=address[vip].format(at)) for at in range(1, count + 1)
            ],
            **changed,
        )
        for number, vip in enumerate(VIPS)
    ]
    return Config(service=services, secret="5c" * 16)


def flows() -> list[Flow]:
    chance = random.Random("plan")
    sources = ("198.51.{}.{}", "2001:db8:7:{}::{}")
    return [
        Flow(
            sources[number % 2].format(chance.randrange(256), chance.randrange(1, 255)),
            chance.randrange(1024, 65_536),
            VIPS[number % 2],
            80,
            6,
        )
        for number in range(FLOWS)
    ]


def in_kernel(plan: Plan, asked: list[Flow]) -> list[str]:
    """To which address the program sends a packet of each flow."""
    macs = made_up_macs(plan)
    address_of = {mac: str(address) for address, mac in macs.items()}
    with kernel(plan, Node(mac=OWN_MAC, macs=macs)) as running:
        return [
            address_of[
                running.loaded.run(frame_of(flow, source_mac=CLIENT_MAC, destination_mac=OWN_MAC))[
                    1
                ][:6]
            ]
            for flow in asked
        ]


def calculated(plan: Plan, asked: list[Flow]) -> list[str]:
    """The same by ``where_many``."""
    found = [""] * len(asked)
    for numbers, columns in by_family(asked):
        answers = plan.where_many(columns)
        for number, choice, owner in zip(numbers, answers.choice, answers.owner, strict=True):
            found[number] = str(plan.choices[choice].owners[owner].address)
    return found


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (file(4), file(5)),
        (file(5, table="maglev"), file(4, table="maglev")),
        (file(4, table="rendezvous", slots=251), file(5, table="rendezvous", slots=251)),
        (file(4, key=SUM3), file(4, key=SUM5)),
        (file(4, key=SUM5), file(4, key=HASH, table="maglev")),
    ],
    ids=["one more", "one less", "rendezvous", "another key", "a hash"],
)
def test_as_many_sessions_move_as_the_plan_says(before: Config, after: Config) -> None:
    asked = flows()
    old, new = make_plan(before), make_plan(after)
    was, now = in_kernel(old, asked), in_kernel(new, asked)
    found = outlook(before, after, seen(dict.fromkeys(asked, 1))).sessions

    assert calculated(old, asked) == was
    assert calculated(new, asked) == now
    assert found is not None
    sessions = len(set(asked))
    distinct = {flow: (one, other) for flow, one, other in zip(asked, was, now, strict=True)}
    moved = sum(one != other for one, other in distinct.values())
    assert (sessions, moved) == (found.total.sessions, found.total.moved)
    assert moved > FLOWS / 6
    for number, vip in enumerate(VIPS):
        load = found.by_choice["service", f"web{number}"].load
        mine = [pair for flow, pair in distinct.items() if str(flow.dst_ip) == vip]
        for side in (0, 1):
            counted = Counter(pair[side] for pair in mine)
            by_name = {owner: counts[side] for owner, counts in load.items() if counts[side]}

            assert sorted(counted.values()) == sorted(by_name.values())
