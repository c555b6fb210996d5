"""What is timed: every case is a point on seven axes, and has a plan and a packet.

Pure.  START READING at ``AXES``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cache
from ipaddress import ip_address
from itertools import product
from typing import Final

from remainder.config import Config, Server, Service
from remainder.errors import ConfigError
from remainder.flow import PROTOCOLS, Address, Flow
from remainder.forwarding import METHODS
from remainder.plan import Plan, PlannedChoice, make_plan
from remainder_bench.packets import CLIENT, PACKETS, STRANGER, ack, template_of, vlan_of
from remainder_bench.stopwatch import EVERY_PACKET_NEW, Template

FLOWS: Final[Mapping[str, int]] = {
    "1": 1,
    "4k": 4096,
    "1M": 1 << 20,
    "new": EVERY_PACKET_NEW,
}

KEYS: Final[Mapping[str, str]] = {
    "sum3": "src_ip + dst_ip + dst_port",
    "sum5": "src_ip + src_port + dst_ip + dst_port + protocol",
    "hash": "hash(src_ip, src_port, dst_ip, dst_port, protocol)",
}

AXES: Final[Mapping[str, Sequence[object]]] = {
    "kind": ("ack", "syn", "udp", "icmp", "ipv6", "vlan", "foreign"),
    "flows": tuple(FLOWS),
    "method": tuple(METHODS),
    "key": tuple(KEYS),
    "services": (1, 10, 1_000, 10_000),
    "servers": (4, 100, 4_000),
}
"""Of the kinds, ``icmp`` is an error that quotes a session, ``foreign`` is to nobody's VIP."""

MOST_OWNERS: Final = 100_000
"""Services × servers; what is beyond is left out: a file of that size is nobody's."""

MAGLEV_SERVICES: Final = 10
"""Hashed keys have full Maglev tables up to so many services; beyond, they would need 130 MB."""

PORT: Final = 80
CLIENT_PORT: Final = 1024  # where the driver begins to count
SECRET: Final = "00112233445566778899aabbccddeeff"  # noqa: S105  (nobody's)
FIRST_VIP: Final[Mapping[int, Address]] = {
    4: ip_address("198.19.0.0"),
    6: ip_address("2001:db8:19::"),
}
FIRST_SERVER: Final[Mapping[int, Address]] = {
    4: ip_address("198.18.0.0"),
    6: ip_address("2001:db8:18::"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A point on the axes."""

    kind: str = "ack"
    flows: str = "4k"
    method: str = "l2"
    key: str = "sum3"
    services: int = 1
    servers: int = 4

    @property
    def name(self) -> str:
        """``ack/4k/l2/sum3/1x4``: what ``--case`` matches."""
        return "/".join(
            (self.kind, self.flows, self.method, self.key, f"{self.services}x{self.servers}")
        )


@dataclass(frozen=True, slots=True)
class Subject:
    """A plan and a packet, to be timed together."""

    name: str
    plan: Plan
    template: Template
    flows: int

    @property
    def vlan(self) -> int | None:
        """The VLAN whose tag the packet has."""
        return vlan_of(self.template.frame)


def default() -> list[Case]:
    """A short set that meets every axis at its ends."""
    base = Case()
    cases = [replace(base, flows=flows) for flows in FLOWS]
    cases += [
        replace(base, kind="syn", flows="new"),
        replace(base, kind="udp"),
        replace(base, kind="udp", key="sum5"),
        replace(base, key="sum5"),
        replace(base, key="sum5", flows="new"),
    ]
    cases += [replace(base, key="hash", flows=flows) for flows in ("1", "1M", "new")]
    cases += [replace(base, kind="ipv6", flows=flows) for flows in ("1", "1M", "new")]
    cases += [replace(base, kind="ipv6", key=key) for key in ("sum5", "hash")]
    cases += [replace(base, kind=kind) for kind in ("icmp", "vlan", "foreign")]
    cases += [replace(base, services=services) for services in (10, 1_000, 10_000)]
    cases += [replace(base, servers=servers) for servers in (100, 4_000)]
    others = [method for method in METHODS if method != base.method]
    return cases + [
        replace(base, method=method, kind=kind) for method in others for kind in ("ack", "ipv6")
    ]


def grid() -> list[Case]:
    """Every combination, but those with more owners than MOST_OWNERS."""
    cases = (Case(**dict(zip(AXES, point, strict=True))) for point in product(*AXES.values()))  # type: ignore[arg-type]
    return [case for case in cases if case.services * case.servers <= MOST_OWNERS]


def matching(names: Iterable[str], patterns: Sequence[str]) -> set[str]:
    """The names that match one of the patterns; all if there are none.  Raises ConfigError."""
    names = list(names)
    found = {
        name
        for name in names
        if not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)
    }
    if not found:
        raise ConfigError("--case", f"no case matches {' '.join(patterns)}; {names[0]} is one")
    return found


def subject(case: Case) -> Subject:
    """The plan and the packet of a case."""
    version = 6 if case.kind == "ipv6" else 4
    protocol = "udp" if case.kind == "udp" else "tcp"
    plan = plan_for(
        version, protocol, method=case.method, key=case.key,
        services=case.services, servers=case.servers,
    )  # fmt: skip
    foreign = case.kind == "foreign"
    flow = Flow(
        CLIENT[version],
        CLIENT_PORT,
        STRANGER[version] if foreign else plan.choices[0].choice.match.address,
        PORT,
        PROTOCOLS[protocol],
    )
    frame = PACKETS.get(case.kind, ack)(flow)
    template = template_of(frame, vips=1 if foreign else case.services)
    return Subject(case.name, plan, template, FLOWS[case.flows])


@cache
def plan_for(  # noqa: PLR0913  (keywords)
    version: int, protocol: str, *, method: str, key: str, services: int, servers: int
) -> Plan:
    """Services on VIPs in a row, the same servers behind each."""
    maglev = key == "hash" and services <= MAGLEV_SERVICES
    owners = [
        Server(name=f"s{number}", address=str(FIRST_SERVER[version] + number + 1))
        for number in range(servers)
    ]
    return make_plan(
        Config(
            secret=SECRET,
            service=[
                Service(
                    name=f"w{number}",
                    vip=str(FIRST_VIP[version] + number),
                    port=PORT,
                    protocol=protocol,
                    key=KEYS[key],
                    table="maglev" if maglev else "modulo",
                    method=method,
                    servers=owners,
                )
                for number in range(services)
            ],
        )
    )


def subjects_of(plan: Plan) -> list[Subject]:
    """What to time for a file: of services that cost alike, the first."""
    subjects: list[Subject] = []
    seen = set()
    for planned in plan.choices:
        choice, match = planned.choice, planned.choice.match
        alike = (
            match.address.version, choice.method, choice.key, choice.table,
            match.protocol, match.port is None,
        )  # fmt: skip
        if alike not in seen:
            seen.add(alike)
            subjects += _of_service(plan, planned)
    if not subjects:
        raise ConfigError(
            "service", "no service takes TCP or UDP, and no other protocol is benchmarked"
        )
    for version in sorted({vip.version for vip in plan.vips}):
        flow = Flow(CLIENT[version], CLIENT_PORT, STRANGER[version], PORT, 6)
        template = template_of(ack(flow))
        subjects.append(Subject(f"foreign/4k/ipv{version}", plan, template, FLOWS["4k"]))
    return subjects


def _of_service(plan: Plan, planned: PlannedChoice) -> Iterator[Subject]:
    match = planned.choice.match
    protocols = [name for name in ("tcp", "udp") if match.protocol in (None, PROTOCOLS[name])]
    for protocol in protocols:
        flow = Flow(
            CLIENT[match.address.version], CLIENT_PORT, match.address,
            match.port or PORT, PROTOCOLS[protocol],
        )  # fmt: skip
        kinds = ("ack", "syn", "icmp", "vlan") if protocol == "tcp" else ("udp", "icmp", "vlan")
        for kind in kinds:
            template = template_of(PACKETS[kind](flow))
            for flows in FLOWS if kind == kinds[0] else ("new",) if kind == "syn" else ("4k",):
                name = f"{kind}/{flows}/{planned.name}"
                if len(protocols) > 1 and kind in ("icmp", "vlan"):
                    name += f"/{protocol}"
                yield Subject(name, plan, template, FLOWS[flows])
