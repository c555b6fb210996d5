"""The way back by sums whose sides matter, with plain integers and nothing of ours (claims 44-48).

The key of a return path is that of the way in: its source is the client, its destination the
VIP.  What a server sends has them the other way round.  With three routers, and ports and
addresses odd and even, a sum of the wrong side names another router.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Final

import pytest

from remainder.config import Config, ReturnPath, Router, Sender, Server, Service
from remainder.fleet import parts_of
from remainder.flow import Address
from remainder.outcome import Outcome
from remainder.reference import Node, process
from tests import frames
from tests.bpf.kernel import kernel

pytestmark = pytest.mark.bpf

VIPS: Final[tuple[Address, ...]] = (IPv4Address("203.0.113.10"), IPv6Address("2001:db8:113::10"))
SERVER: Final = {4: "192.0.2.11", 6: "2001:db8:2::11"}
ROUTERS: Final[tuple[Address, ...]] = tuple(
    IPv4Address(f"192.0.2.{number}") for number in (1, 2, 3)
)
ANSWERS: Final = 200
HOST: Final = Node(
    mac=frames.BALANCER,
    macs={ROUTERS[number]: frames.mac(0x10 + number) for number in range(3)},
)

Sum = Callable[[int, int, int, int], int]
"""Of a request: client's address, client's port, VIP, port of the service."""

SUMS: Final[dict[str, Sum]] = {
    "src_ip": lambda client, _port, _vip, _service: client,
    "src_port": lambda _client, port, _vip, _service: port,
    "dst_ip": lambda _client, _port, vip, _service: vip,
    "dst_port": lambda _client, _port, _vip, service: service,
    "src_ip + dst_port": lambda client, _port, _vip, service: client + service,
    "src_port + dst_ip": lambda _client, port, vip, _service: port + vip,
    "src_ip + src_port": lambda client, port, _vip, _service: client + port,
    "src_ip + dst_ip + dst_port": lambda client, _port, vip, service: client + vip + service,
    "src_ip + src_port + dst_ip + protocol": lambda client, port, vip, _service: (
        client + port + vip + 6
    ),
}
"""All of them change when the sides of a packet are swapped."""


def config_of(key: str) -> Config:
    return Config(
        service=[
            Service(
                name=f"ip{vip.version}",
                vip=vip,
                port="any",
                protocol="tcp",
                key=key,
                table="modulo",
                servers=[Server(name="s1", address=SERVER[vip.version])],
            )
            for vip in VIPS
        ],
        return_path=[
            ReturnPath(
                name="back",
                key=key,
                table="modulo",
                routers=[
                    Router(name=f"r{number}", address=router)
                    for number, router in enumerate(ROUTERS)
                ],
                senders=[Sender(name="s1", interface="eth0")],
            )
        ],
    )


@pytest.mark.parametrize("key", SUMS)
def test_an_answer_leaves_by_the_router_of_the_sum_over_its_request(key: str) -> None:
    """The MAC address that the kernel writes is that of router number (sum) % 3."""
    (part,) = parts_of(config_of(key), "s1")
    random_ = random.Random(key)
    taken = set()
    with kernel(part.plan, HOST) as running:
        for number in range(ANSWERS):
            vip = VIPS[number % 2]
            bits = 32 if vip.version == 4 else 128
            client = type(vip)(random_.getrandbits(bits))
            port, service = random_.randrange(1, 65536), random_.randrange(1, 65536)
            packet = frames.ip(vip, client, protocol=6, payload=frames.tcp(service, port))
            answer = frames.ethernet(
                frames.ROUTER, HOST.mac, ethertype=frames.ETHERTYPE[vip.version], payload=packet
            )
            right = SUMS[key](int(client), port, int(vip), service) % 3
            result = running.process(answer)
            taken.add(right)

            assert (Outcome.RETURNED, f"r{right}") == (result.outcome, result.owner)
            assert HOST.macs[ROUTERS[right]] + answer[6:] == result.frame
            assert result == process(part.plan, HOST, answer)

    assert len(taken) > (0 if key == "dst_ip" else 2)
