"""The formulas of the claims, to the letter, in the real program (claims 1-13, 17-33)."""

from __future__ import annotations

import random
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import msgspec
import pytest

from remainder.config import MAX_SERVERS, Config, Server, Service
from remainder.flow import Address, Flow
from remainder.kernel.oracle import CLIENT_MAC, OWN_MAC, made_up_macs
from remainder.outcome import Outcome
from remainder.plan import Plan, make_plan
from remainder.reference import Node
from remainder.reference.frame import frame_of
from tests.bpf.kernel import kernel
from tests.frames import onward

pytestmark = pytest.mark.bpf

FLOWS = 10_000
VIPS = (IPv4Address("203.0.113.10"), IPv6Address("2001:db8:113::10"))
SERVERS = {4: "192.0.2.{}", 6: "2001:db8:2::{:x}"}

CLAIM_13 = "src_ip + dst_ip + dst_port"
CLAIM_17 = "src_ip + src_port + dst_ip + dst_port + protocol"


def _service(name: str, key: str, *, vip: Address, servers: int, protocol: str = "any") -> Service:
    address = SERVERS[vip.version]
    return Service(
        name=name,
        vip=str(vip),
        port="any",
        protocol=protocol,
        key=key,
        table="modulo",
        servers=[
            Server(name=f"s{number}", address=address.format(number + 1))
            for number in range(servers)
        ],
    )


def _plan(key: str, servers: int) -> Plan:
    return make_plan(
        Config(
            service=[_service(f"ip{vip.version}", key, vip=vip, servers=servers) for vip in VIPS]
        )
    )


def _flow(random_: random.Random, vip: Address) -> Flow:
    """Any source at all, any port, TCP, UDP or SCTP."""
    bits = 32 if vip.version == 4 else 128
    source = type(vip)(random_.getrandbits(bits))
    return Flow(
        source,
        random_.randrange(65536),
        vip,
        random_.randrange(1, 65536),
        random_.choice([6, 17, 132]),
    )


def _formula(key: str, flow: Flow) -> int:
    """The claims' sum, written out with Python's integers and nothing of ours."""
    total = int(flow.src_ip) + int(flow.dst_ip) + flow.dst_port
    return total if key == CLAIM_13 else total + flow.src_port + flow.protocol


@pytest.mark.parametrize("key", [CLAIM_13, CLAIM_17])
@pytest.mark.parametrize("servers", [1, 3, 4, 7, 100])
def test_the_server_is_the_remainder(key: str, servers: int) -> None:
    """The kernel sends every flow to server number (sum) % N, over IPv4 and IPv6."""
    plan = _plan(key, servers)
    node = Node(mac=OWN_MAC, macs=made_up_macs(plan))
    random_ = random.Random(f"{key}{servers}")
    with kernel(plan, node) as running:
        for number in range(FLOWS // 5):
            flow = _flow(random_, VIPS[number % 2])
            frame = frame_of(flow, source_mac=CLIENT_MAC, destination_mac=OWN_MAC)
            verdict, sent = running.loaded.run(frame)
            owner = plan.choices[number % 2].owners[_formula(key, flow) % servers]

            assert owner.address is not None
            assert verdict == 3
            assert node.macs[owner.address] + OWN_MAC + onward(frame) == sent
        assert {Outcome.FORWARDED: FLOWS // 5} == {
            outcome: count.packets for outcome, count in running.outcomes().items() if count.packets
        }


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("src_ip", {"src_ip": IPv4Address("198.51.100.8")}),
        ("src_port", {"src_port": 4001}),
        ("dst_port", {"dst_port": 81}),
        ("protocol", {"protocol": 17}),
    ],
)
def test_each_field_of_the_claims_can_decide(field: str, change: dict[str, Any]) -> None:
    """Claims 8 to 12: a key of one field moves with that field by as much."""
    plan = make_plan(
        Config(service=[_service("all", field, vip=VIPS[0], servers=200)]),
    )
    before = Flow(IPv4Address("198.51.100.7"), 4000, VIPS[0], 80, 6)
    values = {name: getattr(before, name) for name in before.__slots__}
    after = Flow(**{**values, **change})
    node = Node(mac=OWN_MAC, macs=made_up_macs(plan))
    with kernel(plan, node) as running:
        slots = [
            int(
                str(
                    running.process(
                        frame_of(flow, source_mac=CLIENT_MAC, destination_mac=OWN_MAC)
                    ).owner
                ).removeprefix("s")
            )
            for flow in (before, after)
        ]
    difference = int(getattr(after, field)) - int(getattr(before, field))

    assert (slots[0] + difference) % 200 == slots[1]


def test_the_last_of_the_most_servers_that_a_service_can_have_gets_its_packets() -> None:
    """No number of an owner is taken for "nobody"."""
    service = msgspec.structs.replace(
        _service("all", "src_ip", vip=VIPS[0], servers=0),
        servers=[
            Server(name=f"s{number}", address=str(IPv4Address("198.19.0.0") + number))
            for number in range(MAX_SERVERS)
        ],
    )
    plan = make_plan(Config(service=[service]))
    node = Node(mac=OWN_MAC, macs=made_up_macs(plan))
    with kernel(plan, node) as running:
        for number in (0, 1, 255, 256, MAX_SERVERS // 2, MAX_SERVERS - 2, MAX_SERVERS - 1):
            source = IPv4Address("198.18.64.0") + number
            frame = frame_of(
                Flow(source, 4000, VIPS[0], 80, 6),
                source_mac=CLIENT_MAC,
                destination_mac=OWN_MAC,
            )

            assert f"s{number}" == running.process(frame).owner


def test_a_second_balancer_with_the_same_file_agrees() -> None:
    """Claim 15: nothing but the file is shared, whatever the order of its services."""
    first, second = (
        _plan(CLAIM_17, 5),
        make_plan(
            Config(
                service=[
                    _service(f"ip{vip.version}", CLAIM_17, vip=vip, servers=5)
                    for vip in reversed(VIPS)
                ]
            )
        ),
    )
    random_ = random.Random(15)
    node = Node(mac=OWN_MAC, macs=made_up_macs(first))
    with kernel(first, node) as one, kernel(second, node) as other:
        for number in range(500):
            flow = _flow(random_, VIPS[number % 2])
            frame = frame_of(flow, source_mac=CLIENT_MAC, destination_mac=OWN_MAC)

            assert one.loaded.run(frame) == other.loaded.run(frame)
