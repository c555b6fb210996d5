"""Would two parties give the same answer?  If not: a packet on which they differ.

Claims: 15, 28, 34, 44 (each party does the calculation for itself).
Everybody's redundancy assumes agreement; only a calculation can be compared.
Rule: pure; what a node says of itself (``status --json``) is enough to do its
calculation again, all but the secret.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final

from remainder.errors import ConfigError
from remainder.flow import PROTOCOLS, Flow
from remainder.plan import ANY_ADDRESS, Claim, Owner, Plan, Role, plan_service

FLOWS: Final = 2_000
"""How many flows of each service are compared, at most."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a comparison found about one role of one node."""

    node: str
    role: Role
    agrees: bool
    reason: str
    flow: Flow | None = None
    ours: str | None = None
    theirs: str | None = None


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """Whether the members that run own every slot of a cluster between them."""

    cluster: str
    slots: int
    owned: Mapping[str, int]  # member that runs → slots
    missing: Mapping[str, int]  # member that does not run → slots that nobody keeps
    kept: int
    seen: Mapping[str, int]  # member → packets of the cluster that it saw

    @property
    def complete(self) -> bool:
        """No gap, no overlap."""
        return not self.missing and sum(self.owned.values()) == self.slots


def compare(ours: Plan, told: Mapping[str, Any]) -> Verdict:
    """Hold our calculation against what a node says that it runs."""
    node, role = str(told["node"]), told["role"]
    if told["fingerprint"]["tables"] == ours.fingerprint:
        return Verdict(node=node, role=role, agrees=True, reason="the same tables")
    theirs = rebuilt(told, ours.secret)
    found = difference(ours, theirs)
    if found is None:
        hashed = any(planned.key.hashed for planned in ours.services)
        reason = (
            "the tables are alike, but the secrets differ"
            if hashed
            else f"the fingerprints differ, but {FLOWS:,} flows of each service do not"
        )
        return Verdict(node=node, role=role, agrees=False, reason=reason)
    flow, one, other = found
    return Verdict(
        node=node,
        role=role,
        agrees=False,
        reason="a packet on which it differs",
        flow=flow,
        ours=one,
        theirs=other,
    )


def rebuilt(told: Mapping[str, Any], secret: bytes | None) -> Plan:
    """The plan of a node, from its report; the secret is ours, since it tells nobody its own."""
    return Plan(
        services=tuple(plan_service(_claim(service)) for service in told["services"]),
        secret=secret or bytes(16),
        role=told["role"],
    )


def _claim(service: Mapping[str, Any]) -> Claim:
    owners = [
        Owner(
            name=server["name"],
            weight=server["weight"],
            ip=ip_address(server["address"]) if server["address"] else None,
        )
        for server in service["servers"]
    ]
    anything = service["vip"] == "any"
    version = 6 if service["name"].endswith("/ipv6") else 4
    protocol = service["protocol"]
    return Claim(
        name=service["name"],
        ip=ANY_ADDRESS[version] if anything else ip_address(service["vip"]),
        port_number=None if service["port"] == "any" else service["port"],
        protocol_number=None if protocol == "any" else PROTOCOLS[protocol],
        key=service["key"],
        table=service["table"],
        slots=service["slots"] if service["table"] != "modulo" else None,
        servers=owners,
        method=service["method"],
        fragments=service["fragments"],
    )


def difference(ours: Plan, theirs: Plan) -> tuple[Flow, str, str] | None:
    """A flow, our answer and theirs; None if none was found."""
    for flow in _flows([*ours.services, *theirs.services]):
        one, other = ours.where(flow), theirs.where(flow)
        if (one.outcome, one.server, one.address) != (other.outcome, other.server, other.address):
            return flow, one.server or one.outcome, other.server or other.outcome
    return None


def _flows(services: Sequence[Any]) -> Iterator[Flow]:
    """Flows to every service, the same ones every time."""
    chance = random.Random("remainder")  # noqa: S311  (the same flows every time)
    for planned in services:
        service = planned.service
        bits = 32 if service.ip.version == 4 else 128
        for _ in range(FLOWS):
            anywhere = type(service.ip)(chance.getrandbits(bits))
            yield Flow(
                src_ip=type(service.ip)(chance.getrandbits(bits)),
                src_port=chance.randrange(1024, 65536),
                dst_ip=anywhere if service.ip.is_unspecified else service.ip,
                dst_port=service.port_number or chance.randrange(1, 65536),
                protocol=service.protocol_number or 6,
            )


def coverage(told: Sequence[Mapping[str, Any]]) -> list[Coverage]:
    """For each cluster that the members of these reports have: do they own all of it?"""
    members = [report for report in told if report["role"] == "member"]
    names = dict.fromkeys(service["name"] for report in members for service in report["services"])
    return [_coverage(name, members) for name in names]


def _coverage(name: str, members: Sequence[Mapping[str, Any]]) -> Coverage:
    own: dict[str, int] = {}
    all_slots: dict[str, int] = {}
    kept, seen, slots = 0, {}, 0
    for report in members:
        for service in report["services"]:
            if service["name"] != name:
                continue
            slots = service["slots"]
            all_slots |= {server["name"]: server["slots"] for server in service["servers"]}
            mine = [server for server in service["servers"] if server["name"] == report["node"]]
            own[report["node"]] = sum(server["slots"] for server in mine)
            kept += sum(server["packets"] for server in mine)
            seen[report["node"]] = sum(server["packets"] for server in service["servers"])
    missing = {member: count for member, count in all_slots.items() if member not in own and count}
    return Coverage(cluster=name, slots=slots, owned=own, missing=missing, kept=kept, seen=seen)


def read_reports(name: str, content: Any) -> list[Mapping[str, Any]]:
    """The reports in what ``status --json`` printed.  Raises ConfigError for anything else."""
    try:
        found = content["nodes"]
        for report in found:
            report["fingerprint"]["tables"], report["services"], report["role"], report["node"]
    except (KeyError, TypeError):
        raise ConfigError(
            name, "is not what `remainder status --json` prints; save that to a file and name it"
        ) from None
    return list(found)
