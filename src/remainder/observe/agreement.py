"""Would two parties give the same answer?  If not: a packet on which they differ.

Claims: 15, 28, 34, 44 (each party does the calculation for itself).
All redundancy assumes that the parties agree; here it can be checked.
Rule: pure; a node's report (``status --json``) holds all that is needed to repeat
its calculation, except the secret.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from msgspec.structs import replace

from remainder.choice import Choice, Owner, read_match
from remainder.flow import Flow, address_of
from remainder.plan import ASKS_EARLIER, Decision, Plan, PlannedChoice, Role, plan_choice
from remainder.selection.key import parse_key

FLOWS_COMPARED: Final = 2_000
"""How many flows of each service are compared, at most."""

FLOWS_COMPARED_IN_ALL: Final = 1_000_000
"""Of a file with very many services: a few minutes."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
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


def compare(ours: Plan, told: Mapping[str, Any]) -> Comparison:
    """Compare our calculation with what a node reports."""
    node, role = str(told["node"]), told["role"]
    if told["fingerprint"]["tables"] == ours.fingerprint:
        return Comparison(node=node, role=role, agrees=True, reason="the same tables")
    theirs = rebuilt(told, ours.secret)
    found = difference(ours, theirs)
    if found is None:
        hashed = any(chosen.key.hashed for chosen in ours.choices)
        reason = (
            "same tables, but different secrets"
            if hashed
            else f"different fingerprints, but {_flows_each(ours, theirs):,} flows of each service "
            f"agree"
        )
        return Comparison(node=node, role=role, agrees=False, reason=reason)
    flow, one, other = found
    return Comparison(
        node=node,
        role=role,
        agrees=False,
        reason="a packet is answered differently",
        flow=flow,
        ours=one,
        theirs=other,
    )


def rebuilt(told: Mapping[str, Any], secret: bytes | None) -> Plan:
    """The plan of a node, from its report; the secret is ours, since no report contains one."""
    return Plan(
        choices=tuple(plan_choice(_choice(service)) for service in told["services"]),
        secret=secret or bytes(16),
        role=told["role"],
    )


def _choice(told: Mapping[str, Any]) -> Choice:
    choice = Choice(
        name=told["name"],
        match=read_match(
            told["vip"],
            told["port"],
            told["protocol"],
            version=6 if told["name"].endswith("/ipv6") else 4,
        ),
        **_calculation(told),
        method=told["method"],
        fragments=told["fragments"],
    )
    before = tuple(replace(choice, **_calculation(earlier)) for earlier in told.get("before", ()))
    return replace(choice, before=before)


def _calculation(told: Mapping[str, Any]) -> dict[str, Any]:
    """Key, table and owners: what differs between the calculations of a choice."""
    return {
        "key": parse_key(told["key"]),
        "table": told["table"],
        "slots": told["slots"] if told["table"] != "modulo" or _fixed(told) else None,
        "owners": tuple(
            Owner(
                owner["name"],
                owner["weight"],
                address_of(owner["address"]) if owner["address"] else None,
                owner.get("slot"),
            )
            for owner in told["servers"]
        ),
    }


def _fixed(told: Mapping[str, Any]) -> bool:
    return any(owner.get("slot") is not None for owner in told["servers"])


def difference(ours: Plan, theirs: Plan) -> tuple[Flow, str, str] | None:
    """A flow, our answer and theirs; None if none was found."""
    for flow in _flows([*ours.choices, *theirs.choices], _flows_each(ours, theirs)):
        one, other = ours.where(flow), theirs.where(flow)
        if (one.outcome, one.owner, one.address) != (other.outcome, other.owner, other.address):
            return flow, one.owner or one.outcome, other.owner or other.outcome
        if ours.role in ASKS_EARLIER and one.chances != other.chances:
            return flow, _way(one), _way(other)
    return None


def _way(decision: Decision) -> str:
    return ", then ".join((decision.owner or decision.outcome, *decision.chances))


def _flows_each(ours: Plan, theirs: Plan) -> int:
    choices = max(len(ours.choices) + len(theirs.choices), 1)
    return max(min(FLOWS_COMPARED, FLOWS_COMPARED_IN_ALL // choices), 1)


def _flows(choices: Sequence[PlannedChoice], each: int) -> Iterator[Flow]:
    """Flows to every choice, the same ones every time."""
    chance = random.Random("remainder")  # noqa: S311  (the same flows every time)
    for chosen in choices:
        match = chosen.choice.match
        family, bits = type(match.address), match.address.max_prefixlen
        for _ in range(each):
            anywhere = family(chance.getrandbits(bits))
            yield Flow(
                src_ip=family(chance.getrandbits(bits)),
                src_port=chance.randrange(1024, 65536),
                dst_ip=anywhere if match.any_address else match.address,
                dst_port=match.port or chance.randrange(1, 65536),
                protocol=match.protocol or 6,
            )


def coverage(told: Sequence[Mapping[str, Any]]) -> list[Coverage]:
    """For each cluster in these reports: do its running members own all of its slots?"""
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
