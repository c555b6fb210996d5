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
from ipaddress import IPv4Address
from typing import Final, Literal

import numpy as np

from remainder.choice import ANY_ADDRESS, Choice, Match, Owner, choice_of
from remainder.config import Config
from remainder.flow import ICMP, ICMPV6, Address, Flow, address_of
from remainder.secrecy import stretched
from remainder.selection import Table
from remainder.selection.key import Key
from remainder.selection.salt import salted
from remainder.validation import validate

Role = Literal["balancer", "member", "sender"]
"""What a node uses the calculation for: a balancer, a member of a cluster or a sender."""

OUTCOME_OF_OWNED: Final[Mapping[Role, str]] = {
    "balancer": "forwarded",
    "member": "kept",
    "sender": "returned",
}
"""The outcome of a packet with an owner; ``kept`` applies to the owner itself."""

_LINK_LOCAL_BROADCAST: Final = IPv4Address("169.254.255.255")


@dataclass(frozen=True, eq=False)
class PlannedChoice:
    """A choice with its table filled."""

    choice: Choice
    table: Table
    """slot → index into ``owners``; shape (slots,), dtype uint16"""

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


@dataclass(frozen=True, eq=False)
class Plan:
    """All choices that one party has to make, ready to answer."""

    choices: tuple[PlannedChoice, ...]
    secret: bytes | None = None
    """Of its tier, see selection/salt.py."""
    role: Role = "balancer"
    node: str | None = None
    """For a member: its own name, so the owner with this name is itself."""

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
        return tuple(
            (planned.name, owner.name, owner.address)
            for planned in self.choices
            for owner in planned.owners
            if owner.address is not None
        )

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
        if any(planned.key.hashed for planned in self.choices):
            digest.update(f"secret {stretched(self.secret or b'').hex()}\n".encode())
        for planned in sorted(self.choices, key=lambda item: item.name):
            digest.update(_canonical(planned))
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
        key = planned.key.number(flow, self.secret)
        slot = key % planned.slots
        owner = planned.owner(slot)
        return Decision(
            flow,
            OUTCOME_OF_OWNED[self.role],
            choice=planned.name,
            expression=str(planned.key),
            key=key,
            slots=planned.slots,
            slot=slot,
            owner=owner.name,
            address=owner.address,
        )


def is_one_machine(address: Address) -> bool:
    """Whether an answer to this address reaches one other machine (docs/packets.md, section 8)."""
    if isinstance(address, IPv4Address):
        first = address.packed[0]
        return 1 <= first <= 223 and first != 127 and address != _LINK_LOCAL_BROADCAST
    return not (address.is_multicast or address.is_unspecified or address.is_loopback)


def make_plan(config: Config) -> Plan:
    """What a balancer calculates.  Raises ConfigError if the file is wrong."""
    validate(config)
    return Plan(
        choices=tuple(plan_choice(choice_of(service)) for service in config.service),
        secret=salted(config.secret, "services"),
    )


def plan_choice(choice: Choice) -> PlannedChoice:
    """Fill the table of a choice."""
    return PlannedChoice(choice, choice.filled())


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
