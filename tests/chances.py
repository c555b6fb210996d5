"""Files whose services have earlier calculations, and packets of sessions that may be known.

What a packet is about is drawn as a name ("the second live session"); which flow that is, a test
says: sessions of a real kernel have the ports that the kernel gave them.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from hypothesis import strategies as st

from remainder.config import MAX_EARLIER, Config, EarlierServers, Server, Service
from remainder.fleet import nodes_of, server_plan
from remainder.flow import Address, Flow
from remainder.plan import Plan
from remainder.reference import Node, Sockets
from tests import frames as build
from tests.recipes import CLIENTS, SERVERS, VIPS
from tests.strategies import KEYS, PRIMES, SECRETS

TCP: Final = 6
PORT: Final = 80
DEAF_PORT: Final = 443
"""Where nobody listens."""

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
_FLAGS: Final = (ACK, ACK | PSH, ACK, SYN, SYN | ACK, RST, RST | ACK, FIN | ACK, SYN | RST, 0)
_NAMES: Final = [f"s{number}" for number in range(6)]

Which = Literal["live", "closed", "unknown"]
Seq = Literal["awaited", "old", "far ahead"]


@dataclass(frozen=True)
class Told:
    """A packet, but for the ports of its session."""

    which: Which
    number: int
    version: int
    port: int
    flags: int = ACK
    seq: Seq = "awaited"
    ttl: int = 61
    is_error: bool = False
    headed: bool = False
    """IPv4 options, or an IPv6 extension header"""
    cut: int | None = None
    """bytes of the TCP header that are left"""


def tolds() -> st.SearchStrategy[Told]:
    """Most are whole packets of sessions, in a state to be passed on."""
    return st.builds(
        Told,
        which=st.sampled_from(["unknown", "live", "closed"]),
        number=st.integers(0, 2),
        version=st.sampled_from([4, 6]),
        port=st.sampled_from([PORT, PORT, PORT, PORT, PORT, DEAF_PORT, 81]),
        flags=st.sampled_from(_FLAGS),
        seq=st.sampled_from(["awaited", "old", "far ahead"]),
        ttl=st.sampled_from([61, 61, 61, 64, 255, 21, *range(21)]),
        is_error=st.sampled_from([False, False, False, True]),
        headed=st.sampled_from([False, False, False, True]),
        cut=st.sampled_from([None] * 12 + [4, 12, 19]),
    )


def unknown(told: Told) -> Flow:
    """A session that no machine knows."""
    client = CLIENTS[told.version][told.number]
    return Flow(client, 7001 + told.number, VIPS[told.version][0], told.port, TCP)


def frame_of(told: Told, flow: Flow, awaited: int) -> bytes:
    """The packet, or an ICMP error about the answer to it, as a server receives it."""
    sequence = awaited + {"awaited": 0, "old": -5, "far ahead": 1 << 30}[told.seq]
    tcp = struct.pack(
        "!HHIIBBHHH", flow.src_port, flow.dst_port, sequence % 2**32, 12345, 0x50, told.flags,
        1000, 0, 0,
    )  # fmt: skip
    if told.is_error:
        answer = struct.pack("!HHI", flow.dst_port, flow.src_port, 7)
        quoted = _ip(flow.dst_ip, flow.src_ip, TCP, answer, ttl=60, headed=False)
        kind, code = (3, 4) if told.version == 4 else (2, 0)
        payload = struct.pack("!BBHI", kind, code, 0, 1400) + quoted
        router = CLIENTS[told.version][1]
        protocol = build.ICMP_OF[told.version]
        packet = _ip(router, flow.dst_ip, protocol, payload, ttl=told.ttl, headed=told.headed)
    else:
        packet = _ip(
            flow.src_ip, flow.dst_ip, TCP, tcp[: told.cut], ttl=told.ttl, headed=told.headed
        )
    frame = build.to_balancer(packet)
    return frame if len(frame) >= 60 else frame + bytes(60 - len(frame))


def _ip(
    src: Address, dst: Address, protocol: int, payload: bytes, *, ttl: int, headed: bool
) -> bytes:
    if src.version == 4:
        options = b"\x01" * 8 if headed else b""
        return build.ipv4(src, dst, protocol=protocol, payload=payload, options=options, ttl=ttl)
    extensions = [build.extension(build.DESTINATION_OPTIONS)] if headed else []
    return build.ipv6(
        src, dst, protocol=protocol, payload=payload, extensions=extensions, hop_limit=ttl
    )


# --- files


@st.composite
def calculations(draw: st.DrawFn, version: int) -> EarlierServers:
    """A key, a table and servers, some of them without a slot."""
    names = draw(st.lists(st.sampled_from(_NAMES), min_size=1, max_size=5, unique=True))
    weights = draw(st.lists(st.sampled_from([1, 1, 2, 0, 7]), min_size=5, max_size=5))
    if not any(weights[: len(names)]):
        weights = [1, *weights[1:]]
    table = draw(st.sampled_from(["modulo", "maglev"]))
    primes = [prime for prime in PRIMES if len(names) <= prime < 5000]
    return EarlierServers(
        key=draw(st.sampled_from(KEYS)),
        table=table,
        slots=draw(st.sampled_from(primes)) if table == "maglev" else None,
        servers=[
            Server(
                name=name,
                address=str(SERVERS[version][_NAMES.index(name)]),
                weight=weight,
                interface="eth0",
            )
            for name, weight in zip(names, weights, strict=False)
        ],
    )


@st.composite
def changed_services(
    draw: st.DrawFn,
    version: int,
    *,
    port: int | Literal["any"] = PORT,
    protocol: str = "tcp",
    least: int = 1,
    most: int = MAX_EARLIER,
) -> Service:
    """A service with so many earlier calculations."""
    now = draw(calculations(version))
    return Service(
        name=f"{protocol}-{port}-{version}",
        vip=str(VIPS[version][0]),
        port=port,
        protocol=protocol,
        key=now.key,
        table=now.table,
        slots=now.slots,
        servers=now.servers,
        before=draw(st.lists(calculations(version), min_size=least, max_size=most)),
    )


@dataclass(frozen=True)
class ChanceCase:
    """A server's plan, what it knows of its segment, and packets."""

    config: Config
    plan: Plan
    node: Node
    tolds: Sequence[Told]


@st.composite
def chance_cases(draw: st.DrawFn) -> ChanceCase:
    """A file, one of its servers, and packets of sessions; its sockets are for the test to say."""
    services = []
    for version in (4, 6):
        services += [
            draw(changed_services(version)),
            draw(changed_services(version, port=DEAF_PORT, protocol="any", least=0)),
            draw(changed_services(version, port="any", protocol="udp", least=0, most=0)),
        ]
    config = Config(service=services, secret=draw(st.sampled_from(SECRETS)))
    asking = [node for node in nodes_of(config) if server_plan(config, node).choices]
    plan = server_plan(config, draw(st.sampled_from(asking)))
    addresses = sorted({address for _, _, address in plan.reached}, key=str)
    missing = draw(st.sampled_from([[], [], addresses[::2]]))
    node = Node(
        mac=build.BALANCER,
        macs={
            address: build.mac(0x100 + at)
            for at, address in enumerate(addresses)
            if address not in missing
        },
    )
    told = draw(st.lists(tolds(), min_size=20, max_size=60))
    return ChanceCase(config, plan, node, told)


def with_sockets(node: Node, sockets: Sockets) -> Node:
    """The same server, with what its kernel knows."""
    return Node(mac=node.mac, macs=node.macs, sockets=sockets)
