"""A file in which one node has several parts of a kind: two clusters, and two return paths.

Every number and order differs between the two, so that whoever takes one for the other, or
forgets one, gives another answer.  What is right is written out here with plain integers.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from remainder.config import Config, Member, Router, Sender
from remainder.flow import Address, Flow
from tests.fleets import cluster, return_path, service

NODE: Final = "n1"
SHARED: Final = IPv4Address("203.0.113.20")
WEB: Final = IPv4Address("203.0.113.10")
DNS: Final = IPv4Address("203.0.113.53")
ELSEWHERE: Final[tuple[Address, ...]] = (
    IPv4Address("203.0.113.200"),
    IPv6Address("2001:db8:128::200"),
)
"""Behind the members, of both families."""

CONFIG: Final = Config(
    service=[
        service(name="web", vip=WEB, port=80),
        service(name="dns", vip=DNS, port=53, protocol="udp"),
    ],
    cluster=[
        cluster(
            name="shared",
            address=str(SHARED),
            key="src_ip",
            members=[Member(name=name, interface="eth0") for name in ("n1", "n2", "n3")],
        ),
        cluster(
            name="through",
            address="any",
            key="src_port + dst_ip",
            members=[Member(name=name, interface="eth0") for name in ("n2", "n1")],
        ),
    ],
    return_path=[
        return_path(
            name="web-back",
            services=["web"],
            key="src_ip",
            routers=[Router(name=f"r{item}", address=f"192.0.2.{item}") for item in (1, 2, 3)],
            senders=[Sender(name=NODE, interface="eth0")],
        ),
        return_path(
            name="dns-back",
            services=["dns"],
            key="src_ip + src_port",
            routers=[Router(name=f"r{item}", address=f"192.0.2.{item}") for item in (5, 4)],
            senders=[Sender(name=NODE, interface="eth0")],
        ),
    ],
)

MEMBER_OF: Final[dict[Address, Callable[[Flow], str]]] = {
    SHARED: lambda flow: ("n1", "n2", "n3")[int(flow.src_ip) % 3],
    **dict.fromkeys(ELSEWHERE, lambda flow: ("n2", "n1")[(flow.src_port + int(flow.dst_ip)) % 2]),
}
"""Destination → the member that keeps a flow there, by the formula of its cluster."""

ROUTER_OF: Final[dict[Address, Callable[[Flow], str]]] = {
    WEB: lambda flow: ("r1", "r2", "r3")[int(flow.src_ip) % 3],
    DNS: lambda flow: ("r5", "r4")[(int(flow.src_ip) + flow.src_port) % 2],
}
"""VIP → the router of a flow to it, and of its answer, by the formula of its return path."""

_PORT: Final[dict[Address, tuple[int, int]]] = {WEB: (80, 6), DNS: (53, 17)}


def flow_to(destination: Address, number: int) -> Flow:
    """Another client, and another port, for each number; odd and even of both."""
    client = IPv4Address("198.51.100.1") if destination.version == 4 else IPv6Address("2001:db8::1")
    port, protocol = _PORT.get(destination, (8080, 6))
    return Flow(client + number, 40_000 + number // 3, destination, port, protocol)
