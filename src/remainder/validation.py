"""The rules between the fields of a file, which no single field can show.

Rule: pure; every mistake is a ConfigError that names the place, what was found,
what was expected and what to do next.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Final

from remainder.config import (
    MAX_SLOTS,
    MAX_SLOTS_IN_FILE,
    Cluster,
    Config,
    EarlierMembers,
    EarlierServers,
    Member,
    ReturnPath,
    Server,
    Service,
)
from remainder.errors import ConfigError
from remainder.flow import ICMP, ICMPV6, WITH_PORTS, Address, protocol_name
from remainder.homes import check_homes
from remainder.selection import slots_of
from remainder.selection.maglev import is_prime
from remainder.validation_earlier import validate_second_chance, validate_server_nodes

_VALID: Final = "valid"
"""The note that a config has passed, in its dictionary."""


def validate(config: Config) -> None:
    """Check the rules between the fields, once.  Raises ConfigError naming the place."""
    if _VALID in config.__dict__:
        return
    if not config.service and not config.cluster and not config.return_path:
        raise ConfigError("", "no [[service]], [[cluster]] or [[return_path]]; add one")
    for kind in ("balancer", "service", "cluster", "return_path"):
        _unique(kind, [section.name for section in getattr(config, kind)])
    vips = {service.vip for service in config.service}
    slots = 0
    for number, service in enumerate(config.service):
        slots += _validate_service(f"service[{number}]", service, vips, config=config)
    _validate_matches(config)
    for number, service in enumerate(config.service):
        _validate_fragments(f"service[{number}]", service, config)
    for number, cluster in enumerate(config.cluster):
        slots += _validate_cluster(f"cluster[{number}]", cluster, config)
    for number, path in enumerate(config.return_path):
        slots += _validate_return_path(f"return_path[{number}]", path, config)
    validate_server_nodes(config)
    if config.vrrp is not None and len(config.balancer) < 2:
        raise ConfigError(
            "vrrp",
            f"[vrrp] needs at least two [[balancer]] sections, found {len(config.balancer)}; "
            f"add one or remove [vrrp]",
        )
    if slots > MAX_SLOTS_IN_FILE:
        raise ConfigError(
            "service",
            f"the tables need {slots:,} slots in total, the maximum is {MAX_SLOTS_IN_FILE:,}; "
            f"give the services fewer slots",
        )
    config.__dict__[_VALID] = True


def _validate_service(where: str, service: Service, vips: set[Address], *, config: Config) -> int:
    """Everything about one service; returns its slots."""
    _validate_words(where, service)
    _validate_servers(where, service, service.servers, vips)
    slots = _validate_choice(where, service, "servers", config)
    for number, earlier in enumerate(service.before):
        place = f"{where}.before[{number}]"
        _validate_servers(place, service, earlier.servers, vips)
        slots += _validate_choice(place, earlier, "servers", config)
    validate_second_chance(where, service)
    return slots


def _validate_matches(config: Config) -> None:
    taken: dict[tuple[Address, int | None, int | None], str] = {}
    for number, service in enumerate(config.service):
        match = (service.vip, service.port, service.protocol)
        if match in taken:
            raise ConfigError(
                f"service[{number}]",
                f"{service.vip} port {_or_any(service.port)} {_protocol(service)} already belongs "
                f"to service {taken[match]!r}; change the port or protocol, or merge the services",
            )
        taken[match] = service.name


def _validate_cluster(where: str, cluster: Cluster, config: Config) -> int:
    """Everything about one cluster; returns its slots."""
    slots = _validate_choice(where, cluster, "members", config)
    for number, earlier in enumerate(cluster.before):
        slots += _validate_choice(f"{where}.before[{number}]", earlier, "members", config)
    validate_second_chance(where, cluster)
    names = {member.name for member in cluster.members}
    for number, other in enumerate(config.cluster):
        if other is cluster:
            continue
        if other.address == cluster.address and f"cluster[{number}]" < where:
            raise ConfigError(
                f"{where}.address",
                f"{_or_any(cluster.address)} is already the address of cluster {other.name!r}; "
                f"merge the two clusters",
            )
        if other.mac != cluster.mac and names & {item.name for item in other.members}:
            raise ConfigError(
                f"{where}.mac",
                f"mac is {cluster.mac.hex(':')}, but cluster {other.name!r}, which shares a "
                f"member, has {other.mac.hex(':')}; a node listens to one cluster MAC, "
                f"so use the same in both",
            )
        for member in cluster.members:
            _same_place(f"{where}.members", member, other)
    for service in config.service:
        if service.vip == cluster.address:
            raise ConfigError(
                f"{where}.address",
                f"{cluster.address} is the VIP of service {service.name!r}; "
                f"give one of them another address",
            )
    return slots


def _same_place(where: str, member: Member, other: Cluster) -> None:
    """A node is a member on one interface, in one mode, whatever the cluster."""
    for again in other.members:
        if again.name == member.name and _place(again) != _place(member):
            raise ConfigError(
                where,
                f"{member.name!r} is on {_place(member)} here and on {_place(again)} in cluster "
                f"{other.name!r}; use the same in both",
            )


def _place(member: Member) -> str:
    """Interface, mode and VLAN, as a member has them."""
    vlan = "" if member.vlan is None else f", VLAN {member.vlan}"
    return f"{member.interface} ({member.mode}{vlan})"


def _validate_return_path(where: str, path: ReturnPath, config: Config) -> int:
    """Everything about one return path; returns its slots, once for each service it has."""
    _unique(f"{where}.senders", [sender.name for sender in path.senders])
    known = [service.name for service in config.service]
    for number, name in enumerate(path.services):
        if name not in known:
            raise ConfigError(
                f"{where}.services[{number}]",
                f"unknown service {name!r}; services in this file: {', '.join(known) or 'none'}",
            )
    if not known and not path.others:
        raise ConfigError(
            where,
            f"{path.name!r} covers no flow, since there is no [[service]]; set others = true to "
            f"cover all that leaves the segment, or add a [[service]]",
        )
    vips = {service.vip for service in config.service}
    for number, router in enumerate(path.routers):
        if router.address in vips:
            raise ConfigError(
                f"{where}.routers[{number}].address",
                f"{router.address} is a VIP; write the router's own address",
            )
    slots = _validate_choice(where, path, "routers", config)
    return slots * (len(path.services) or len(known)) + 2 * slots * path.others


def _validate_choice(
    where: str,
    choice: Service | Cluster | ReturnPath | EarlierServers | EarlierMembers,
    owners: str,
    config: Config,
) -> int:
    """Key, table and owners, alike for all kinds of section; returns the slots."""
    if choice.table != "modulo" and choice.slots is not None and not _is_prime(choice.slots):
        raise ConfigError(
            f"{where}.slots",
            f"slots is {choice.slots}; expected a prime for {choice.table}, such as 65537",
        )
    check_homes(where, choice, owners)
    weights = [owner.weight for owner in choice.owners]
    _unique(f"{where}.{owners}", [owner.name for owner in choice.owners])
    if not any(weights):
        raise ConfigError(
            f"{where}.{owners}",
            f"every weight is 0, so no slot would have an owner; "
            f"give at least one {owners.removesuffix('s')} a weight",
        )
    total = slots_of(choice.table, weights, choice.slots)
    if total > MAX_SLOTS:
        raise ConfigError(
            f"{where}.{owners}",
            f"{total:,} slots needed, the maximum is {MAX_SLOTS:,}; lower the weights",
        )
    if (owning := sum(1 for weight in weights if weight)) > total:
        raise ConfigError(
            f"{where}.slots",
            f"{total:,} slots are too few for {owning:,} {owners}; choose a larger prime",
        )
    if choice.key.hashed and config.secret is None:
        raise ConfigError(
            f"{where}.key",
            f'{str(choice.key)!r} is a hash and needs a secret; add secret = "…" (32 hexadecimal '
            f'digits, `openssl rand -hex 16`) or secret_file = "…" at the top of the file',
        )
    if isinstance(choice, EarlierServers | EarlierMembers):
        return total  # fragments follow the newest calculation
    if choice.fragments == "forward" and choice.key.reads_ports:
        raise ConfigError(
            f"{where}.fragments",
            f"'forward' needs a key without ports, since later fragments carry none; "
            f"key is {str(choice.key)!r}, use e.g. 'src_ip + dst_ip'",
        )
    return total


def _validate_words(where: str, service: Service) -> None:
    number = service.protocol
    if service.port is not None and number is not None and number not in WITH_PORTS:
        raise ConfigError(
            f"{where}.port",
            f'port is {service.port}, but {_protocol(service)} has no ports; write port = "any"',
        )
    right = {(ICMP, 6): ICMPV6, (ICMPV6, 4): ICMP}.get((number or 0, service.vip.version))
    if right:
        raise ConfigError(
            f"{where}.protocol",
            f"{_protocol(service)} does not run over IPv{service.vip.version}; "
            f"for {service.vip} write {protocol_name(right)!r}",
        )


def _or_any(value: object) -> str:
    """As written in the file."""
    return "any" if value is None else str(value)


def _protocol(service: Service) -> str:
    return "any" if service.protocol is None else protocol_name(service.protocol)


_is_prime = cache(is_prime)  # a file has few sizes of tables


def _validate_servers(
    where: str, service: Service, servers: Sequence[Server], vips: set[Address]
) -> None:
    seen: dict[Address, str] = {}
    for number, server in enumerate(servers):
        address = server.address
        if type(address) is type(service.vip) and address not in vips and address not in seen:
            seen[address] = server.name
            continue
        place = f"{where}.servers[{number}].address"
        if address.version != service.vip.version:
            raise ConfigError(
                place,
                f"{server.address} is IPv{address.version}, but the VIP {service.vip} is "
                f"IPv{service.vip.version}, and method {service.method} does not translate; "
                f"put this server into an IPv{address.version} service",
            )
        if address in vips:
            raise ConfigError(
                place,
                f"{server.address} is a VIP; write the server's own address "
                f"(the VIP goes on its loopback)",
            )
        raise ConfigError(
            place,
            f"{server.address} is already server {seen[address]!r}; "
            f"to give a server a larger share, raise its weight",
        )


def _validate_fragments(where: str, service: Service, config: Config) -> None:
    """Forwarding fragments is allowed only where they are sure to reach their session's server."""
    if service.fragments != "forward":
        return
    if service.port is not None:
        raise ConfigError(
            f"{where}.fragments",
            f"'forward' needs port = \"any\", since later fragments carry no port; "
            f"port is {service.port}, use 'drop' or port = \"any\"",
        )
    for other in _more_specific(service, config):
        raise ConfigError(
            f"{where}.fragments",
            f"'forward' is ambiguous: service {other.name!r} takes some of the same packets, "
            f"and later fragments do not show which; use 'drop', or remove one of the services",
        )


def _more_specific(service: Service, config: Config) -> Iterator[Service]:
    """Services that take packets from this one by a port, which later fragments do not show.

    A service that differs only in the protocol does not count: every fragment
    carries its protocol.
    """
    for other in config.service:
        if other.vip != service.vip or other.port is None:
            continue
        if other.protocol == service.protocol or None in (other.protocol, service.protocol):
            yield other


def _unique(where: str, names: Sequence[str]) -> None:
    if len(set(names)) == len(names):
        return
    seen: set[str] = set()
    for number, name in enumerate(names):
        if name in seen:
            raise ConfigError(
                f"{where}[{number}].name",
                f"duplicate name {name!r}; names must be unique within the list",
            )
        seen.add(name)
