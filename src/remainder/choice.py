"""The choice: a key, a table and its owners, for the packets that match.

A service chooses a server, a cluster one of its members, a return path a router.
Above this file they are one kind of thing; nothing depends on its origin.
Claims: 28, 34, 44 (several parties do the same calculation).
Rule: pure; ``selection`` never learns which role asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Final, Literal, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from remainder.config import (
    Cluster,
    EarlierMember,
    EarlierMembers,
    EarlierServers,
    Member,
    ReturnPath,
    Router,
    Server,
    Service,
)
from remainder.errors import ConfigError
from remainder.flow import PROTOCOLS, Address, address_of, protocol_name
from remainder.selection import ALGORITHMS, Table, slots_of
from remainder.selection.key import Key

ANY_ADDRESS: Final[Mapping[int, Address]] = {4: IPv4Address(0), 6: IPv6Address(0)}
"""IP version → the address that means any of it in a match."""


class Written(NamedTuple):
    """Address, port and protocol as written in a file."""

    vip: str
    port: int | Literal["any"]
    protocol: str


class Match(NamedTuple):
    """Which packets a choice is for: by destination address, port and protocol."""

    address: Address
    """one of ANY_ADDRESS: any of its family"""
    port: int | None
    """None: any"""
    protocol: int | None
    """IANA number; None: any"""

    @property
    def any_address(self) -> bool:
        """Whether the destination address does not matter."""
        return self.address.is_unspecified

    def written(self) -> Written:
        """As written in a file."""
        return Written(
            "any" if self.any_address else str(self.address),
            "any" if self.port is None else self.port,
            "any" if self.protocol is None else protocol_name(self.protocol),
        )


def read_match(vip: str, port: int | str, protocol: str, *, version: int) -> Match:
    """The inverse of ``Match.written``; ``version`` is the IP version of an ``any`` address.

    Raises ConfigError.
    """
    if not isinstance(port, int) and port != "any":
        raise ConfigError("port", f'port is {port!r}; expected a number or "any"')
    if protocol != "any" and protocol not in PROTOCOLS and not protocol.isdecimal():
        raise ConfigError("protocol", f"unknown protocol {protocol!r}")
    return Match(
        ANY_ADDRESS[version] if vip == "any" else address_of(vip, "vip"),
        port if isinstance(port, int) else None,
        None if protocol == "any" else PROTOCOLS.get(protocol) or int(protocol),
    )


class Owner(Struct, frozen=True, gc=False):
    """What a slot can name: a server, a member or a router."""

    name: str
    weight: int
    address: Address | None
    """None: a member, which is found by its name"""
    home: int | None = None
    """The first of its own slots, in a modulo table with ``slots``."""


class Choice(Struct, frozen=True, kw_only=True):
    """A key, a table and owners, and the packets they are for."""

    name: str
    match: Match
    key: Key
    table: str
    """the word for the algorithm"""
    slots: int | None
    """how many, if the algorithm allows a choice; None: its default"""
    owners: tuple[Owner, ...]
    method: str
    fragments: str
    before: tuple[Choice, ...] = ()
    """earlier calculations for the same packets, newest first"""

    @property
    def weights(self) -> list[int]:
        """Of the owners, in the order of the file."""
        return [owner.weight for owner in self.owners]

    @property
    def slot_count(self) -> int:
        """N of the formula."""
        return slots_of(self.table, self.weights, self.slots)

    def filled(self) -> Table:
        """Slot → index into ``owners``; shape (slot_count,), dtype uint16."""
        fixed = self.table == "modulo" and self.slots is not None
        homes = [owner.home for owner in self.owners] if fixed else None
        return ALGORITHMS[self.table](
            self.weights, [owner.name for owner in self.owners], self.slots, homes
        )


OwnerState = Literal["active", "filling", "draining", "gone"]
"""Of a server or member: owns slots now and before, only now, only before; is in no calculation."""


def state_of(choice: Choice, name: str) -> OwnerState:
    """What the calculations of a choice, and nothing else, say of an owner.

    Where there is no earlier calculation, every owner of slots is active.
    An owner without a slot now is draining: sessions may still be with it.
    """
    calculations = (choice, *choice.before)
    if all(name not in {owner.name for owner in one.owners} for one in calculations):
        return "gone"
    now, *before = (
        name in {owner.name for owner in one.owners if owner.weight} for one in calculations
    )
    if not now:
        return "draining"
    return "active" if any(before) or not before else "filling"


def owner_states(choice: Choice) -> dict[str, OwnerState]:
    """The state of every owner in any calculation, those of now first."""
    names = [owner.name for one in (choice, *choice.before) for owner in one.owners]
    return {name: state_of(choice, name) for name in dict.fromkeys(names)}


def choice_of(service: Service) -> Choice:
    """Between the servers of a service."""
    choice = _choice(
        service,
        service.name,
        Match(service.vip, service.port, service.protocol),
        _reached(service.servers),
        method=service.method,
    )
    return _with_before(choice, [(item, _reached(item.servers)) for item in service.before])


def cluster_choices(cluster: Cluster) -> tuple[Choice, ...]:
    """Between the members of a cluster; one for each address family if the address is any."""
    owners = _found(cluster.members)
    if cluster.address is not None:
        choice = _choice(cluster, cluster.name, Match(cluster.address, None, None), owners)
        before = [(item, _found(item.members)) for item in cluster.before]
        return (_with_before(choice, before),)
    return tuple(
        _choice(cluster, f"{cluster.name}/ipv{version}", Match(address, None, None), owners)
        for version, address in ANY_ADDRESS.items()
    )


def return_choices(path: ReturnPath, services: Iterable[Service]) -> tuple[Choice, ...]:
    """Between the routers of a return path, one for each service that it covers."""
    owners = _reached(path.routers)
    meant = [
        (f"{path.name}/{service.name}", Match(service.vip, service.port, service.protocol))
        for service in services
        if not path.services or service.name in path.services
    ]
    if path.others:
        meant += [
            (f"{path.name}/ipv{version}", Match(address, None, None))
            for version, address in ANY_ADDRESS.items()
        ]
    return tuple(_choice(path, name, match, owners) for name, match in meant)


def _choice(
    section: Service | Cluster | ReturnPath,
    name: str,
    match: Match,
    owners: tuple[Owner, ...],
    *,
    method: str = "l2",
) -> Choice:
    return Choice(
        name=name,
        match=match,
        key=section.key,
        table=section.table,
        slots=section.slots,
        owners=owners,
        method=method,
        fragments=section.fragments,
    )


def _with_before(
    choice: Choice,
    before: Sequence[tuple[EarlierServers | EarlierMembers, tuple[Owner, ...]]],
) -> Choice:
    """The same with its earlier calculations, which are for the same packets."""
    earlier = tuple(
        replace(choice, key=item.key, table=item.table, slots=item.slots, owners=owners)
        for item, owners in before
    )
    return replace(choice, before=earlier) if earlier else choice


def _reached(owners: Sequence[Server | Router]) -> tuple[Owner, ...]:
    return tuple(Owner(owner.name, owner.weight, owner.address, owner.slot) for owner in owners)


def _found(owners: Sequence[Member | EarlierMember]) -> tuple[Owner, ...]:
    return tuple(Owner(owner.name, owner.weight, None, owner.slot) for owner in owners)
