"""Pairs of files, before and after a change, for the tests of this folder."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from remainder.config import Config, EarlierServers, Server, Service
from remainder.flow import Flow
from tests.fleets import SUM3

SUM5 = "src_ip + src_port + dst_ip + dst_port + protocol"
HASH = "hash(src_ip, src_port)"
KEYS = (SUM3, SUM5, HASH, "src_ip", "src_ip + src_port", "hash(src_port, src_ip)", "dst_port")
TABLES = (("modulo", None), ("maglev", 31), ("rendezvous", 13), ("maglev", 7))
VIPS = {4: "203.0.113.10", 6: "2001:db8::10"}


def server(number: int, *, weight: int = 1, version: int = 4, node: bool = True) -> Server:
    address = f"192.0.2.{number}" if version == 4 else f"2001:db8:1::{number}"
    interface = "eth0" if node else None
    return Server(name=f"s{number}", address=address, weight=weight, interface=interface)


def web(*servers: Server, **changed: Any) -> Service:
    plain: dict[str, Any] = {
        "name": "web", "vip": VIPS[4], "port": 80, "protocol": "tcp", "key": SUM3,
        "table": "modulo", "servers": list(servers),
    }  # fmt: skip
    return Service(**plain | changed)


def file(*servers: Server, **changed: Any) -> Config:
    return Config(service=[web(*servers, **changed)], secret="5e" * 16)


def earlier(*servers: Server, **changed: Any) -> EarlierServers:
    plain: dict[str, Any] = {"key": SUM3, "table": "modulo", "servers": list(servers)}
    return EarlierServers(**plain | changed)


@st.composite
def _calculations(draw: st.DrawFn, version: int) -> dict[str, Any]:
    numbers = draw(st.lists(st.integers(11, 17), min_size=1, max_size=6, unique=True))
    weights = draw(st.lists(st.integers(0, 3), min_size=6, max_size=6))
    table, slots = draw(st.sampled_from(TABLES))
    own = [
        server(number, weight=weight, version=version, node=number % 3 > 0)
        for number, weight in zip(numbers, weights, strict=False)
    ]
    if not any(one.weight for one in own):
        own[0] = server(numbers[0], version=version)
    return {"servers": own, "key": draw(st.sampled_from(KEYS)), "table": table, "slots": slots}


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Config, Config]:
    """Two files with one service, of which the second may list earlier calculations."""
    version = draw(st.sampled_from([4, 6]))
    port, protocol = draw(st.sampled_from([(80, "tcp"), ("any", "tcp"), (80, "any"), (53, "udp")]))
    old, new = draw(_calculations(version)), draw(_calculations(version))
    before = []
    if protocol != "udp":
        before = [draw(_calculations(version)) for _ in range(draw(st.integers(0, 2)))]
        before.insert(draw(st.integers(0, len(before))), old)
        before = before[draw(st.integers(0, 1)) :]
    plain = {"vip": VIPS[version], "port": port, "protocol": protocol}
    return (
        file(**plain, **old),
        file(**plain, **new, before=[EarlierServers(**one) for one in before]),
    )


@st.composite
def flows_of(draw: st.DrawFn, config: Config) -> list[Flow]:
    """Flows to the service of a file."""
    service = config.service[0]
    source = (
        st.ip_addresses(v=4, network="198.51.100.0/24")
        if service.vip.version == 4
        else st.ip_addresses(v=6, network="2001:db8:7::/64")
    )
    ports = st.integers(1, 65_535)
    one = st.builds(
        lambda src, sport, dport, number: Flow(
            src, sport, service.vip, service.port or dport, service.protocol or number
        ),
        source, ports, ports, st.sampled_from([6, 17]),
    )  # fmt: skip
    return draw(st.lists(one, min_size=1, max_size=30))
