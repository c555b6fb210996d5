"""What commands print with ``--json``: one document each, with a version and a schema.

Rule: stdout holds exactly one document: the answer, even if the command then
exits with 1 because of it, or else a Failure.  Within a version fields are only
added.  docs/json.md explains them; docs/schemas/ is generated from these types.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, Literal

import click
import msgspec
from msgspec import UNSET, Struct, UnsetType

from remainder.choice import OwnerState
from remainder.cli.documents_earlier import CheckedEarlier, EarlierDecision, ReportedEarlier
from remainder.errors import ConfigError, RemainderError
from remainder.fleet import TierKind
from remainder.plan import Role

Version = Literal[1]
Port = int | Literal["any"]

ASKED: Final = "remainder.json"
ANSWERED: Final = "remainder.json.answered"
"""Keys of click's ``Context.meta``: JSON is asked for; a document has been printed."""


class Problem(Struct, kw_only=True):
    """Why there is no answer."""

    id: str | None
    """a stable id of docs/operations.md; null if the message has none"""
    sentence: str
    """what stderr says"""
    where: str | UnsetType = UNSET
    """the place of a mistake in a file, like ``remainder.toml:6: service[0].port``"""
    problem: str | UnsetType = UNSET
    """the sentence without the place"""


class Failure(Struct, kw_only=True):
    """A command with ``--json`` that has no answer."""

    version: Version = 1
    error: Problem


class CheckedService(Struct, kw_only=True):
    """A service of the file."""

    name: str
    vip: str
    port: Port
    protocol: str
    key: str
    table: str
    slots: int
    servers: int
    before: list[CheckedEarlier]
    """earlier calculations, newest first"""
    states: dict[str, OwnerState]
    """server → its state, for a service with earlier calculations"""


class CheckedTier(Struct, kw_only=True):
    """A calculation of the file; nodes with equal fingerprints give equal answers."""

    kind: TierKind
    name: str
    fingerprint: str


class CheckedSkew(Struct, kw_only=True):
    """Traffic that a formula spreads badly (``warning``), or worth knowing (``note``)."""

    service: str
    severity: Literal["warning", "note"]
    sentence: str
    arithmetic: str
    advice: str


class CheckedNeed(Struct, kw_only=True):
    """Something this host must offer, and whether it does."""

    need: str
    met: bool
    detail: str


class CheckDocument(Struct, kw_only=True):
    """``remainder check FILE --json``, for a valid file."""

    version: Version = 1
    valid: Literal[True] = True
    fingerprint: str
    services: list[CheckedService]
    tiers: list[CheckedTier]
    skews: list[CheckedSkew]
    warnings: list[str]
    host: list[CheckedNeed]
    """empty with ``--no-host``"""


class CheckFailure(Struct, kw_only=True):
    """``remainder check FILE --json``, for a file with a mistake."""

    version: Version = 1
    valid: Literal[False] = False
    error: Problem


class KernelAnswer(Struct, kw_only=True):
    """What the XDP program does with a packet of the flow."""

    outcome: str
    server: str | None


class TierDecision(Struct, kw_only=True):
    """Where one calculation sends the flow, and the numbers behind it."""

    kind: TierKind
    name: str
    outcome: str
    service: str | None
    """of a cluster or a return path: its name"""
    expression: str | None
    key: int | None
    """exact, so it may exceed 64 bits"""
    slots: int | None
    slot: int | None
    server: str | None
    """the owner of the slot: a server, a member or a router"""
    address: str | None
    """empty for a member, null if there is no owner"""
    before: list[EarlierDecision]
    """what earlier calculations say, newest first"""
    chances: list[str]
    """who is asked for a session that the owner does not know, in this order"""
    kernel: KernelAnswer | UnsetType = UNSET
    """only with ``--kernel``"""


class WhereDocument(Struct, kw_only=True):
    """``remainder where FILE SRC DST --json``; the answer of the balancer, then of all tiers."""

    version: Version = 1
    src_ip: str
    src_port: int
    dst_ip: str
    dst_port: int
    protocol: int
    outcome: str
    service: str | None
    expression: str | None
    key: int | None
    """exact, so it may exceed 64 bits"""
    slots: int | None
    slot: int | None
    server: str | None
    address: str | None
    before: list[EarlierDecision]
    """what earlier calculations say, newest first"""
    chances: list[str]
    """who is asked for a session that the owner does not know, in this order"""
    kernel: KernelAnswer | UnsetType = UNSET
    """only with ``--kernel``"""
    tiers: list[TierDecision]
    hint: str | UnsetType = UNSET
    """what was probably meant, if a port was read as part of an IPv6 address"""


class Count(Struct, kw_only=True):
    """Packets, and bytes of whole frames."""

    packets: int
    bytes: int


class ReportedServer(Struct, kw_only=True):
    """An owner of slots: a server, a member or a router."""

    name: str
    address: str
    """empty for a member"""
    mac: str | None
    """null: not resolved"""
    weight: int
    slots: int
    slot: int | None = None
    """the first slot of its own, in a modulo table with ``slots``"""
    packets: int
    bytes: int
    recent_packets: int | None = None
    """of the last ``recent_s`` seconds; null: unknown, as for a server that is new"""
    silent_since: str | None = None
    """ISO 8601, with the UTC offset: it answers neither ARP nor neighbour discovery; or null"""
    silent_s: int | None = None
    """for how many seconds"""


class ReportedService(Struct, kw_only=True):
    """A service, a cluster or a return path as it runs."""

    name: str
    vip: str
    port: Port
    protocol: str
    key: str
    table: str
    slots: int
    method: str
    fragments: str
    servers: list[ReportedServer]
    """with those that earlier calculations alone name, at weight 0"""
    before: list[ReportedEarlier]
    """earlier calculations, newest first; only of servers and members, who ask them"""


class Fingerprints(Struct, kw_only=True):
    """SHA-256, in hexadecimal."""

    file: str
    """of a file with the secret in it: keyed with the secret"""
    tables: str
    """equal on two nodes if and only if they give equal answers"""
    program: str


class Program(Struct, kw_only=True):
    """The program in the kernel."""

    id: int
    instructions: int


class Rejected(Struct, kw_only=True):
    """The last change of the file, if it was rejected."""

    at: str
    """ISO 8601, with the UTC offset"""
    sentence: str


class ReportedNode(Struct, kw_only=True):
    """One role of one node."""

    node: str
    role: Role
    interface: str
    mode: str
    attached: bool
    process: int | None
    """null: the data plane runs without a process"""
    file: str
    refused: Rejected | None
    trouble: str | None
    """what the host refuses the node, which is tried again"""
    published: int
    fingerprint: Fingerprints
    program: Program
    assigned: list[str]
    """VIPs that were put on the interface"""
    recent_s: float | None = None
    """the last minute, of which ``recent_packets`` tells; null if no process counts"""
    services: list[ReportedService]
    outcomes: dict[str, Count]
    """outcome → how many; they add up to ``seen``"""
    seen: Count


class UnreadableNode(Struct, kw_only=True):
    """A role of a node whose data plane cannot be read."""

    node: str
    role: Role
    error: str
    id: str | None = None


class StatusDocument(Struct, kw_only=True):
    """``remainder status --json``; with ``--watch`` one a line."""

    version: Version = 1
    nodes: list[ReportedNode]
    unreadable: list[UnreadableNode]


class ComparedNode(Struct, kw_only=True):
    """Whether a role of a node gives the answers of the file."""

    node: str
    role: Role
    agrees: bool
    reason: str
    flow: str | None
    """a packet on which they differ"""
    ours: str | None
    theirs: str | None


class CoveredCluster(Struct, kw_only=True):
    """Whether the members that run own all slots of a cluster between them."""

    cluster: str
    slots: int
    owned: dict[str, int]
    """member that runs → its slots"""
    missing: dict[str, int]
    """member that does not run → slots that no member keeps"""
    complete: bool
    kept: int
    seen: dict[str, int]


class AgreeDocument(Struct, kw_only=True):
    """``remainder agree FILE --json``."""

    version: Version = 1
    agree: bool
    """every node could be compared, and answers like the file"""
    nodes: list[ComparedNode]
    clusters: list[CoveredCluster]
    unreadable: list[UnreadableNode] = []
    """nodes that could not be compared"""


DOCUMENTS: Final[Mapping[str, Any]] = {
    "check": CheckDocument,
    "check-failure": CheckFailure,
    "where": WhereDocument,
    "status": StatusDocument,
    "agree": AgreeDocument,
    "failure": Failure,
}
"""Name of the schema → the document."""


def show(document: Struct, *, line: bool = False) -> None:
    """Print a document; on one line if more may follow."""
    # Not msgspec's encoder: keys of IPv6 flows have more than 64 bits.
    click.echo(json.dumps(msgspec.to_builtins(document), indent=None if line else 2))
    click.get_current_context().meta[ANSWERED] = True


def problem_of(error: Exception, sentence: str) -> Problem:
    """An error for programs."""
    problem = Problem(id=error.id if isinstance(error, RemainderError) else None, sentence=sentence)
    if isinstance(error, ConfigError):
        problem.where, problem.problem = error.where, error.problem
    return problem
