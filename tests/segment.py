"""One plan and one balancer, for the tests of docs/packets.md, and packets to its VIPs."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any, Final, Literal

import pytest

from remainder.config import Config, Server, Service
from remainder.flow import Address, Flow
from remainder.outcome import Outcome
from remainder.plan import Plan, make_plan
from remainder.reference import Node, Result, process, read_flow
from tests import frames
from tests.frames import ICMP_OF, Extension, extension

# One VIP per kind of service, in each family.
WEB: Final = 10  # port 80 of TCP, and port 53 of anything
ALL: Final = 20  # anything, fragments too
WHOLE: Final = 30  # anything but fragments
PING: Final = 40  # pings, and any port of UDP
CLIENT: Final = {4: ip_address("198.51.100.7"), 6: ip_address("2001:db8:2::7")}
ELSEWHERE: Final = {4: ip_address("203.0.113.99"), 6: ip_address("2001:db8::99")}

both_families = pytest.mark.parametrize("version", [4, 6])


def vip(version: int, number: int) -> Address:
    return ip_address(f"203.0.113.{number}" if version == 4 else f"2001:db8::{number}")


def server(version: int, number: int) -> Address:
    return ip_address(f"192.0.2.{number}" if version == 4 else f"2001:db8:1::{number}")


def service(
    address: Address,
    port: int | Literal["any"],
    protocol: str,
    key: str,
    *,
    fragments: Literal["drop", "forward"] = "drop",
) -> Service:
    return Service(
        name=f"{address}-{port}-{protocol}".replace(":", "."),
        vip=str(address),
        port=port,
        protocol=protocol,
        key=key,
        table="modulo",
        fragments=fragments,
        servers=[
            Server(name=f"s{number}", address=str(server(address.version, number)))
            for number in range(3)
        ],
    )


def services(version: int) -> list[Service]:
    icmp = "icmp" if version == 4 else "icmpv6"
    return [
        service(vip(version, WEB), 80, "tcp", "src_ip + dst_ip + dst_port"),
        service(vip(version, WEB), 53, "any", "src_port"),
        service(vip(version, ALL), "any", "any", "src_ip + dst_ip", fragments="forward"),
        service(vip(version, WHOLE), "any", "any", "src_port + protocol"),
        service(vip(version, PING), "any", icmp, "src_port"),
        service(vip(version, PING), "any", "udp", "src_ip + protocol", fragments="forward"),
    ]


def plan_of(*which: Service) -> Plan:
    return make_plan(Config(service=list(which)))


PLAN: Final = plan_of(*services(4), *services(6))
NODE: Final = Node(
    mac=frames.BALANCER,
    macs={
        server(version, number): frames.mac(version * 16 + number)
        for version in (4, 6)
        for number in range(3)
    },
)


def run(frame: bytes) -> Result:
    return process(PLAN, NODE, frame)


def outcome(packet: bytes, *, plan: Plan = PLAN, ethertype: int | None = None) -> Outcome:
    return process(plan, NODE, frames.to_balancer(packet, ethertype=ethertype)).outcome


def flow_of(one: bytes) -> Flow:
    flow = read_flow(frames.to_balancer(one))
    assert flow is not None
    return flow


def packet(version: int, number: int, protocol: int, payload: bytes, /, **fields: Any) -> bytes:
    """A packet from the client to a VIP."""
    build = frames.ipv4 if version == 4 else frames.ipv6
    source = fields.pop("src", CLIENT[version])
    return build(source, vip(version, number), protocol=protocol, payload=payload, **fields)


def web_packet(version: int, /, **fields: Any) -> bytes:
    """What the web service forwards, unless the fields are wrong."""
    return packet(version, WEB, 6, frames.tcp(4321, 80), **fields)


def icmp_packet(version: int, number: int, kind: int, **fields: Any) -> bytes:
    """An ICMP message from the client to a VIP."""
    message = frames.icmp(CLIENT[version], vip(version, number), kind, **fields)
    return packet(version, number, ICMP_OF[version], message)


ERROR: Final = {4: 3, 6: 1}


def error_about(
    quoted: bytes, *, number: int = WEB, kind: int | None = None, version: int | None = None
) -> bytes:
    """An ICMP error to a VIP that quotes the packet, of the same version if not told otherwise."""
    version = version or quoted[0] >> 4
    return icmp_packet(version, number, kind or ERROR[version], payload=quoted)


def reply(version: int, number: int, protocol: int, payload: bytes, /, **fields: Any) -> bytes:
    """A packet of the VIP to the client, as errors quote it."""
    build = frames.ipv4 if version == 4 else frames.ipv6
    source = fields.pop("src", vip(version, number))
    return build(source, CLIENT[version], protocol=protocol, payload=payload, **fields)


WEB_REPLY: Final = {version: reply(version, WEB, 6, frames.tcp(80, 4321)) for version in (4, 6)}


def chain(*numbers: int) -> list[Extension]:
    return [extension(number) for number in numbers]
