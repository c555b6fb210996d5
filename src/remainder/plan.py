"""From the file to the answer: the plan is everything the calculation needs.

START READING HERE.  A packet gives a key; the key picks a slot; the slot names
its owner; a method carries the packet there.
Claims: 1-14, 17-27, 31-33.
Rule: pure; no I/O, no clock, no root.  Everyone with the same file has the same plan.
Twins: reference/ walks whole frames with it, kernel/image.py writes it for the kernel.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

import numpy as np

from remainder.answers import Answers, Asked, answers_of
from remainder.choice import ANY_ADDRESS, Choice, Match, Owner, choice_of
from remainder.config import Config
from remainder.flow import ICMP, ICMPV6, Address, Flow, address_of, is_one_machine
from remainder.flows import Flows
from remainder.secrecy import stretched
from remainder.selection import Table
from remainder.selection.key import Key
from remainder.selection.salt import salted
from remainder.validation import validate

Role = Literal["balancer", "member", "sender", "server"]
"""What a node uses the calculation for: as a balancer, a member of a cluster, a sender, or as a
server that asks the earlier calculations who may know a session."""

OUTCOME_OF_OWNED: Final[Mapping[Role, str]] = {
    "balancer": "forwarded",
    "member": "kept",
    "sender": "returned",
    "server": "kept",
}
"""The outcome of a packet with an owner; ``kept`` applies to the owner itself."""

ASKS_EARLIER: Final[frozenset[Role]] = frozenset({"member", "server"})
"""Whose answers depend on earlier calculations.  The balancer's table is that of the newest."""


@dataclass(frozen=True, eq=False)
class PlannedChoice:
    """A choice with its table filled."""

    choice: Choice
    table: Table
    """slot → index into ``owners``; shape (slots,), dtype uint16"""
    before: tuple[PlannedChoice, ...] = ()
    """earlier calculations, newest first"""

    @property
    def name(self) -> str:
        """The choice's name."""
        return self.choice.name

    @property
    def key(self) -> Key:
        """From a flow to a number."""
        return self.choice.key

    @property
    def slots(self) -> int:
        """N of the formula."""
        return len(self.table)

    @property
    def owners(self) -> Sequence[Owner]:
        """In the order of the file; the table holds indices into it."""
        return self.choice.owners

    def owner(self, slot: int) -> Owner:
        """Who owns a slot."""
        return self.owners[int(self.table[slot])]

    def answers(self, flow: Flow, secret: bytes | None) -> tuple[Calculated, ...]:
        """What every calculation answers, the newest first."""
        return tuple(_calculated(one, flow, secret) for one in (self, *self.before))

    def way(self, flow: Flow, secret: bytes | None) -> tuple[Owner, ...]:
        """The owners that a packet may visit, in this order: whom the calculations name, each once.

        The first owns the packet now; each of the others knows its session if it is old enough.
        """
        return tuple({one.owner.name: one.owner for one in self.answers(flow, secret)}.values())


@dataclass(frozen=True)
class Calculated:
    """What one calculation says of a flow."""

    expression: str
    key: int
    slots: int
    slot: int
    owner: Owner


@dataclass(frozen=True)
class Decision:
    """Where a flow goes, and the numbers that say why; explain.py makes text of them."""

    flow: Flow
    outcome: str
    choice: str | None = None
    expression: str | None = None
    key: int | None = None
    slots: int | None = None
    slot: int | None = None
    owner: str | None = None
    address: Address | None = None
    before: tuple[Calculated, ...] = ()
    """what the earlier calculations say, newest first"""
    chances: tuple[str, ...] = ()
    """who is asked after the owner whether it knows the session, in this order"""


@dataclass(frozen=True, eq=False)
class Plan:
    """All choices that one party has to make, ready to answer."""

    choices: tuple[PlannedChoice, ...]
    secret: bytes | None = None
    """Of its tier, see selection/salt.py."""
    role: Role = "balancer"
    node: str | None = None
    """For a member and a server: its own name, so the owner with this name is itself."""

    @cached_property
    def by_match(self) -> Mapping[Match, PlannedChoice]:
        """Match → choice."""
        return {planned.choice.match: planned for planned in self.choices}

    @cached_property
    def vips(self) -> frozenset[Address]:
        """Every VIP (of a member: every shared address)."""
        return frozenset(match.address for match in self.by_match if not match.any_address)

    @cached_property
    def reached(self) -> tuple[tuple[str, str, Address], ...]:
        """(choice, owner, address) of every owner that packets are sent to."""
        found = (
            (planned.name, owner.name, owner.address)
            for planned in self.choices
            for one in self.asked(planned)
            for owner in one.owners
            if owner.address is not None and owner.name != self.node
            if planned.before or self.role != "server"
        )
        return tuple(dict.fromkeys(found))

    def asked(self, planned: PlannedChoice) -> tuple[PlannedChoice, ...]:
        """The calculations that the kernel does for a choice, the newest first."""
        return (planned, *planned.before) if self.role in ASKS_EARLIER else (planned,)

    @cached_property
    def families(self) -> frozenset[int]:
        """The IP versions that have choices."""
        return frozenset(match.address.version for match in self.by_match)

    @cached_property
    def fingerprint(self) -> str:
        """Equal on two nodes if and only if they give the same answers (SHA-256, hexadecimal).

        Covers all that an answer depends on: services, keys, who owns each slot, and the secret
        where a key is hashed, stretched so that it cannot be guessed from the fingerprint.
        The order of services, of servers that keep their slots, and of the fields of a key
        changes no answer, and neither do servers without a slot.
        """
        digest = hashlib.sha256(b"" if self.role == "balancer" else self.role.encode())
        if any(one.key.hashed for planned in self.choices for one in self.asked(planned)):
            digest.update(f"secret {stretched(self.secret or b'').hex()}\n".encode())
        for planned in sorted(self.choices, key=lambda item: item.name):
            for one in self.asked(planned):
                digest.update(_canonical(one))
        return digest.hexdigest()

    def find(self, address: Address | str, port: int, protocol: int) -> PlannedChoice | None:
        """The most specific choice for a destination; port 0 matches ``any`` only."""
        address = address_of(address)
        wanted: list[tuple[int | None, int | None]] = [(None, protocol), (None, None)]
        if port:
            wanted = [(port, protocol), (port, None), *wanted]
        for port_or_any, protocol_or_any in wanted:
            planned = self.by_match.get(Match(address, port_or_any, protocol_or_any))
            if planned is not None:
                return planned
        return self.by_match.get(Match(ANY_ADDRESS[address.version], None, None))

    def where_many(self, flows: Flows) -> Answers:
        """Where each of many flows goes, as ``where`` says it for one; in columns, and fast."""
        return answers_of(
            [Asked(planned.choice, planned.table) for planned in self.choices],
            flows,
            secret=self.secret,
            answers_echo=self.role == "balancer",
        )

    def answers_echo(self, flow: Flow, planned: PlannedChoice | None) -> bool:
        """Whether an echo request is the balancer's own to answer (docs/packets.md, section 8)."""
        if self.role != "balancer" or flow.dst_ip not in self.vips or flow.src_ip in self.vips:
            return False
        if flow.protocol != (ICMP if flow.version == 4 else ICMPV6):
            return False
        if planned is not None and planned.choice.match.protocol == flow.protocol:
            return False
        return is_one_machine(flow.src_ip)

    def where(self, flow: Flow) -> Decision:
        """Which server a whole (unfragmented) packet of this flow goes to, and why.

        A flow of ICMP stands for an echo request, its source port for the identifier.
        """
        planned = self.find(flow.dst_ip, flow.dst_port, flow.protocol)
        if self.answers_echo(flow, planned):
            return Decision(flow, "echo_answered")
        if planned is None:
            return Decision(flow, "no_service" if flow.dst_ip in self.vips else "not_vip")
        now, *before = planned.answers(flow, self.secret)
        return Decision(
            flow,
            OUTCOME_OF_OWNED[self.role],
            choice=planned.name,
            expression=now.expression,
            key=now.key,
            slots=now.slots,
            slot=now.slot,
            owner=now.owner.name,
            address=now.owner.address,
            before=tuple(before),
            chances=tuple(owner.name for owner in planned.way(flow, self.secret)[1:]),
        )


def make_plan(config: Config) -> Plan:
    """What a balancer calculates.  Raises ConfigError if the file is wrong."""
    validate(config)
    return Plan(
        choices=tuple(plan_choice(choice_of(service)) for service in config.service),
        secret=salted(config.secret, "services"),
    )


def plan_choice(choice: Choice) -> PlannedChoice:
    """Fill the table of a choice, and those of its earlier calculations."""
    return PlannedChoice(choice, choice.filled(), tuple(map(plan_choice, choice.before)))


def _calculated(planned: PlannedChoice, flow: Flow, secret: bytes | None) -> Calculated:
    key = planned.key.number(flow, secret)
    slot = key % planned.slots
    return Calculated(str(planned.key), key, planned.slots, slot, planned.owner(slot))


def _canonical(planned: PlannedChoice) -> bytes:
    """All that the answers of a choice depend on: one line of text, then who owns each slot."""
    choice, key = planned.choice, planned.key
    used = sorted(np.unique(planned.table).tolist(), key=lambda owner: planned.owners[owner].name)
    rank = np.zeros(len(planned.owners), dtype="<u2")
    rank[used] = np.arange(len(used))
    owners = (f"{planned.owners[owner].name}={planned.owners[owner].address}" for owner in used)
    _, port, protocol = choice.match.written()
    line = "|".join(
        (
            choice.name,
            f"{choice.match.address} {port} {protocol}",
            f"{'hash' if key.hashed else 'sum'} {' '.join(sorted(key.fields))}",
            f"{choice.method} {choice.fragments} {planned.slots}",
            *owners,
        )
    )
    return f"{line}\n".encode() + rank[planned.table].tobytes()
