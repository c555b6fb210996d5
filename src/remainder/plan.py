"""From the file to the answer: the plan is everything the calculation needs.

START READING HERE.  A packet gives a key; the key picks a slot; the slot names
its owner; a method carries the packet there.
Claims: 1-14, 17-27, 31-33.
Rule: pure; no I/O, no clock, no root.  Whoever holds the same file has the same plan.
Twins: reference.py walks whole frames with it, kernel/image.py writes it for the kernel.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address
from typing import Final, Literal

import numpy as np

from remainder.config import Config, Server, Service
from remainder.flow import ICMP, ICMPV6, WITH_PORTS, Address, Flow, endpoint, protocol_name
from remainder.selection import ALGORITHMS, Table
from remainder.selection.key import Key, field_values, parse_key
from remainder.validation import validate

Role = Literal["balancer", "member", "server"]
"""Who asks: a balancer for a server, a member of a cluster for itself, a server for a router."""

OUTCOMES: Final[Mapping[Role, str]] = {
    "balancer": "forwarded",
    "member": "kept",
    "server": "returned",
}
"""What becomes of a packet that has an owner; ``kept`` by the owner, that is."""

ANY_ADDRESS: Final[Mapping[int, Address]] = {4: IPv4Address(0), 6: IPv6Address(0)}
"""IP version → what stands for any address in a claim."""


@dataclass(frozen=True, kw_only=True)
class Owner:
    """A member or a router, in the shape of a server."""

    name: str
    weight: int
    ip: Address | None = None  # None: a member, which is found by its name

    @property
    def address(self) -> str:
        """The address as text; empty for a member."""
        return str(self.ip) if self.ip is not None else ""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What a cluster or a return path takes, in the shape of a service."""

    name: str
    ip: Address  # one of ANY_ADDRESS: any
    port_number: int | None
    protocol_number: int | None
    key: str
    table: str
    slots: int | None
    servers: list[Owner]
    method: str
    fragments: str

    @property
    def vip(self) -> str:
        """The address as text."""
        return "any" if self.ip.is_unspecified else str(self.ip)

    @property
    def port(self) -> int | str:
        """As in a file."""
        return "any" if self.port_number is None else self.port_number

    @property
    def protocol(self) -> str:
        """As in a file."""
        return "any" if self.protocol_number is None else protocol_name(self.protocol_number)


@dataclass(frozen=True, eq=False)
class PlannedService:
    """A service with its key understood and its table filled."""

    service: Service | Claim
    key: Key
    table: Table
    """slot → index into ``service.servers``; shape (slots,), dtype uint16"""

    @property
    def name(self) -> str:
        """The service's name."""
        return self.service.name

    @property
    def slots(self) -> int:
        """N of the formula."""
        return len(self.table)

    @property
    def servers(self) -> Sequence[Server | Owner]:
        """The owners, in the order of the file; the table holds indices into it."""
        return self.service.servers

    @property
    def place(self) -> str:
        """Which packets it takes, for people: address, port and protocol."""
        service = self.service
        if service.ip.is_unspecified:
            return "whatever no other takes"
        any_port = "any port " if service.port == "any" else ""
        return f"{endpoint(service.ip, service.port_number or 0)} {any_port}{service.protocol}"

    def owner(self, slot: int) -> Server | Owner:
        """Who owns a slot."""
        return self.servers[int(self.table[slot])]


@dataclass(frozen=True)
class Decision:
    """Where a flow goes, and the numbers that say why."""

    flow: Flow
    outcome: str
    service: str | None = None
    expression: str | None = None
    key: int | None = None
    slots: int | None = None
    slot: int | None = None
    server: str | None = None
    address: str | None = None
    lines: tuple[str, ...] = field(default=(), compare=False)
    """The arithmetic, line by line, for people."""


@dataclass(frozen=True, eq=False)
class Plan:
    """All services of a file, ready to answer."""

    services: tuple[PlannedService, ...]
    secret: bytes | None = None
    role: Role = "balancer"
    node: str | None = None
    """Who asks, for a member: the owner of this name is itself."""

    @cached_property
    def by_claim(self) -> Mapping[tuple[Address, int | None, int | None], PlannedService]:
        """(VIP, port or None for any, protocol or None for any) → service."""
        return {
            (
                planned.service.ip,
                planned.service.port_number,
                planned.service.protocol_number,
            ): planned
            for planned in self.services
        }

    @cached_property
    def vips(self) -> frozenset[Address]:
        """Every VIP (of a member: every shared address)."""
        return frozenset(
            planned.service.ip for planned in self.services if not planned.service.ip.is_unspecified
        )

    @cached_property
    def reached(self) -> tuple[tuple[str, str, Address], ...]:
        """(service, owner, address) of every owner that packets are sent to."""
        return tuple(
            (planned.name, owner.name, owner.ip)
            for planned in self.services
            for owner in planned.servers
            if owner.ip is not None
        )

    @cached_property
    def families(self) -> frozenset[int]:
        """The IP versions that are looked into."""
        return frozenset(planned.service.ip.version for planned in self.services)

    @cached_property
    def fingerprint(self) -> str:
        """Equal on two nodes if and only if they answer alike (SHA-256, hexadecimal).

        Covers all that an answer depends on: services, keys, who owns each slot, and the secret
        where a key is hashed.  The order of services, of servers that keep their slots, and of
        the fields of a key changes no answer, and neither do servers without a slot.
        """
        digest = hashlib.sha256(b"" if self.role == "balancer" else self.role.encode())
        if any(planned.key.hashed for planned in self.services):
            digest.update(f"secret {(self.secret or b'').hex()}\n".encode())
        for planned in sorted(self.services, key=lambda item: item.name):
            digest.update(_canonical(planned))
        return digest.hexdigest()

    def find(self, address: Address, port: int, protocol: int) -> PlannedService | None:
        """The most specific service for a destination; port 0 matches ``any`` only."""
        wanted: list[tuple[int | None, int | None]] = [(None, protocol), (None, None)]
        if port:
            wanted = [(port, protocol), (port, None), *wanted]
        for port_or_any, protocol_or_any in wanted:
            planned = self.by_claim.get((address, port_or_any, protocol_or_any))
            if planned is not None:
                return planned
        return self.by_claim.get((ANY_ADDRESS[address.version], None, None))

    def answers_echo(self, flow: Flow, planned: PlannedService | None) -> bool:
        """Whether an echo request is the balancer's own to answer (docs/packets.md, section 8)."""
        if self.role != "balancer" or flow.dst_ip not in self.vips:
            return False
        if flow.protocol != (ICMP if flow.version == 4 else ICMPV6):
            return False
        if planned is not None and planned.service.protocol_number == flow.protocol:
            return False
        first = flow.src_ip.packed[0]
        if flow.version == 4:
            return 1 <= first <= 223
        return first != 0xFF and not flow.src_ip.is_unspecified

    def where(self, flow: Flow) -> Decision:
        """Which server a whole (unfragmented) packet of this flow goes to, and why.

        A flow of ICMP stands for an echo request, its source port for the identifier.
        """
        planned = self.find(flow.dst_ip, flow.dst_port, flow.protocol)
        if self.answers_echo(flow, planned):
            return Decision(
                flow,
                "echo_answered",
                lines=(f"a ping of {flow.dst_ip} is answered by the balancer itself",),
            )
        if planned is None:
            return Decision(
                flow,
                "no_service" if flow.dst_ip in self.vips else "not_vip",
                lines=(f"{_why_nobody(self, flow)}: the packet goes up the stack untouched",),
            )
        key = planned.key.number(flow, self.secret)
        slot = key % planned.slots
        server = planned.owner(slot)
        return Decision(
            flow,
            OUTCOMES[self.role],
            service=planned.name,
            expression=str(planned.key),
            key=key,
            slots=planned.slots,
            slot=slot,
            server=server.name,
            address=server.address,
            lines=tuple(_arithmetic(planned, flow, key, slot, role=self.role)),
        )


def make_plan(config: Config) -> Plan:
    """Understand the keys and fill the tables.  Raises ConfigError if the file is wrong."""
    validate(config)
    return Plan(
        services=tuple(plan_service(service) for service in config.service),
        secret=config.secret_bytes,
    )


def plan_service(service: Service | Claim) -> PlannedService:
    """One service's key and table."""
    algorithm = ALGORITHMS[service.table]
    return PlannedService(
        service=service,
        key=parse_key(service.key),
        table=algorithm(
            [server.weight for server in service.servers],
            [server.name for server in service.servers],
            service.slots,
        ),
    )


def _canonical(planned: PlannedService) -> bytes:
    """All that the answers of a service depend on: one line of text, then who owns each slot."""
    service, key = planned.service, planned.key
    used = sorted(np.unique(planned.table).tolist(), key=lambda owner: planned.servers[owner].name)
    rank = np.zeros(len(planned.servers), dtype="<u2")
    rank[used] = np.arange(len(used))
    owners = (f"{planned.servers[owner].name}={planned.servers[owner].ip}" for owner in used)
    line = "|".join(
        (
            service.name,
            f"{service.ip} {service.port} {service.protocol}",
            f"{'hash' if key.hashed else 'sum'} {' '.join(sorted(key.fields))}",
            f"{service.method} {service.fragments} {planned.slots}",
            *owners,
        )
    )
    return f"{line}\n".encode() + rank[planned.table].tobytes()


def _why_nobody(plan: Plan, flow: Flow) -> str:
    vip, protocol = flow.dst_ip, protocol_name(flow.protocol)
    if vip not in plan.vips:
        return f"{vip} is no VIP of this file"
    if flow.dst_port:
        return f"{vip} is a VIP, but no service takes {protocol} port {flow.dst_port} there"
    for planned in plan.services:
        service = planned.service
        takes = service.protocol_number in (flow.protocol, None) and flow.protocol in WITH_PORTS
        if takes and service.ip == vip and service.port_number:
            return (
                f"{vip} came without a port, and no service takes {protocol} on every port there "
                f"(write one, like {endpoint(vip, service.port_number)})"
            )
    return f"{vip} is a VIP, but no service takes {protocol} there"


_LABELS: Final[Mapping[Role, str]] = {
    "balancer": "service",
    "member": "cluster",
    "server": "way back",
}


def _arithmetic(
    planned: PlannedService, flow: Flow, key: int, slot: int, *, role: Role
) -> list[str]:
    service, owner = planned.service, planned.owner(slot)
    lines = [f"{_LABELS[role]:<8} {service.name}: {planned.place}"]
    values = field_values(flow)
    shown = {"src_ip": str(flow.src_ip), "dst_ip": str(flow.dst_ip)}
    lines += [
        f"  {name:<9}= {values[name]}" + (f"  ({shown[name]})" if name in shown else "")
        for name in planned.key.fields
    ]
    if planned.key.hashed:
        lines.append(
            f"key      {planned.key} = SipHash-1-3({planned.key.message(flow).hex()}) = {key}"
        )
    else:
        lines.append(f"key      {planned.key} = {key}")
    lines += [
        f"slot     {key} % {planned.slots} = {slot}",
        f"owner    slot {slot} of table {service.table} → {owner.name}"
        + (f" ({owner.address})" if owner.address else ""),
        f"method   {service.method}" if role != "member" else "keep     the other members leave it",
    ]
    return lines
