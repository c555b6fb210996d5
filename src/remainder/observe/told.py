"""Reports of other nodes, as ``status --json`` prints them: read as if a stranger had sent them.

Rule: pure; what comes out can be planned again without another look, and whatever goes
in, the answer is such reports or a ConfigError of one sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta, Struct

from remainder.config import MAX_SLOTS, MAX_SLOTS_IN_FILE, NAME_PATTERN, Cluster, Config, Member
from remainder.errors import ConfigError
from remainder.flow import address_of, parse_protocol
from remainder.plan import Role
from remainder.printable import printable, printable_name
from remainder.selection import slots_of
from remainder.validation import validate
from remainder.values import MethodName, Port, decoded

REPORT_VERSION: Final = 1
"""``version`` of the output of ``status --json`` that can be compared."""

MAX_BYTES: Final = 1 << 27
"""Of a report: more than the largest file makes."""

_Name = Annotated[str, Meta(pattern=NAME_PATTERN)]
_Text = Annotated[str, Meta(max_length=200)]
_Count = Annotated[int, Meta(ge=0)]


class ToldServer(Struct, frozen=True, kw_only=True):
    """An owner of slots."""

    name: _Name
    address: Annotated[str, Meta(max_length=60)]
    """empty for a member"""
    weight: Annotated[int, Meta(ge=0, le=255)]
    slots: _Count
    slot: Annotated[int, Meta(ge=0, lt=MAX_SLOTS)] | None = None
    """the first of its own, where the file fixes them"""
    packets: _Count


class ToldService(Struct, frozen=True, kw_only=True):
    """A choice as it runs; its name may be ``PATH/SERVICE``."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    vip: Annotated[str, Meta(max_length=60)]
    port: int | str
    protocol: Annotated[str, Meta(max_length=60)]
    key: _Text
    table: Annotated[str, Meta(max_length=60)]
    slots: Annotated[int, Meta(ge=1, le=MAX_SLOTS)]
    method: str
    fragments: Literal["drop", "forward"]
    servers: Annotated[list[ToldServer], Meta(min_length=1)]


class ToldFingerprint(Struct, frozen=True, kw_only=True):
    """Of these only that of the tables says something about another node."""

    tables: Annotated[str, Meta(min_length=1, max_length=200)]


class ToldNode(Struct, frozen=True, kw_only=True):
    """A role of a node."""

    node: _Name
    role: Role
    attached: bool = True
    fingerprint: ToldFingerprint
    services: Annotated[list[ToldService], Meta(min_length=1)]


class ToldUnreadable(Struct, frozen=True, kw_only=True):
    """A role of a node that could not be read there."""

    node: str
    role: Role
    error: str


class ToldStatus(Struct, frozen=True, kw_only=True):
    """The output of ``status --json``."""

    version: int
    nodes: list[ToldNode]
    unreadable: list[ToldUnreadable] = []


class Reports(NamedTuple):
    """What can be compared, and what could not be read."""

    nodes: list[Mapping[str, Any]]
    unreadable: list[Mapping[str, Any]]


def sorted_out(reports: Iterable[Mapping[str, Any]]) -> Reports:
    """Reports of a host, by whether there is something to compare."""
    found = Reports([], [])
    for report in reports:
        if "error" in report:
            found.unreadable.append(report)
        elif not report.get("attached", True):
            error = "its data plane is not attached, so no packet meets it"
            plain = {"node": report["node"], "role": report["role"], "error": error}
            found.unreadable.append(plain)
        else:
            found.nodes.append(report)
    return found


def read_reports(name: str, content: bytes | str) -> Reports:
    """The reports in the output of ``status --json``.  Raises ConfigError for anything else."""
    if len(content) > MAX_BYTES:
        raise ConfigError(name, f"more than {MAX_BYTES:,} bytes, so it is not a status report")
    try:
        plain = msgspec.json.decode(content)
    except (ValueError, RecursionError):
        raise ConfigError(
            name, "not JSON; expected the output of `remainder status --json`"
        ) from None
    version = plain.get("version") if isinstance(plain, dict) else None
    if isinstance(version, int) and version != REPORT_VERSION:
        raise ConfigError(
            name,
            f"version is {printable_name(version)}; expected {REPORT_VERSION}, "
            f"so use the same release of Remainder on all nodes",
        )
    try:
        status = msgspec.convert(plain, ToldStatus)
    except (msgspec.ValidationError, RecursionError) as error:
        raise ConfigError(
            name,
            f"not the output of `remainder status --json` ({printable(error, 200)}); "
            f"save that to a file and pass it",
        ) from None
    for node in status.nodes:
        _check_node(f"{name}: node {node.node}", node)
    return sorted_out(msgspec.to_builtins([*status.nodes, *status.unreadable]))


def _check_node(where: str, node: ToldNode) -> None:
    slots = 0
    for service in node.services:
        slots += service.slots
        place = f"{where}: service {printable_name(service.name)}"
        try:
            _check_service(service, node.role)
        except (ValueError, OverflowError) as error:
            problem = error.problem if isinstance(error, ConfigError) else "a value is out of range"
            raise ConfigError(place, printable(problem, 300)) from None
    if slots > MAX_SLOTS_IN_FILE:
        raise ConfigError(where, f"{slots:,} slots; the maximum is {MAX_SLOTS_IN_FILE:,}")


def _check_service(service: ToldService, role: Role) -> None:
    """As strict as for the file that it came from.  Raises ValueError, mostly ConfigError."""
    decoded(Port, service.port)
    decoded(MethodName, service.method)
    parse_protocol("0" if service.protocol == "any" else service.protocol)
    version = address_of(service.vip).version if service.vip != "any" else None
    for server in service.servers:
        if (server.address == "") != (role == "member"):
            raise ConfigError("", f"the address of {server.name} is {server.address!r}")
        found = address_of(server.address).version if server.address else None
        if role == "balancer" and found != version:
            raise ConfigError("", f"{server.address} and {service.vip} differ in their IP version")
    fixed = any(server.slot is not None for server in service.servers)
    slots = service.slots if service.table != "modulo" or fixed else None
    stand_in = Cluster(
        name="told",
        address=None,
        key=service.key,
        table=service.table,
        slots=slots,
        fragments=service.fragments,
        members=[_member(server) for server in service.servers],
    )
    validate(Config(cluster=[stand_in], secret=bytes(16)))
    made = slots_of(service.table, [server.weight for server in service.servers], slots)
    if made != service.slots:
        raise ConfigError("", f"slots is {service.slots}, but these servers make {made}")


def _member(server: ToldServer) -> Member:
    extra: dict[str, Any] = {} if server.slot is None else {"slot": server.slot}
    try:
        return Member(name=server.name, interface="any", weight=server.weight, **extra)
    except TypeError:
        raise ConfigError(
            "", f"the slot of {server.name} is fixed, which is not known here"
        ) from None
