"""What no single field of a file shows: the rules between the fields.

Rule: pure; every mistake is a ConfigError that names the place, what came, what
was wanted and what to do next.
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
    Member,
    ReturnPath,
    Service,
)
from remainder.errors import ConfigError
from remainder.flow import ICMP, ICMPV6, WITH_PORTS, Address, protocol_name
from remainder.selection import slots_of
from remainder.selection.maglev import is_prime

_VALID: Final = "valid"
"""The note that a config has passed, in its dictionary."""


def validate(config: Config) -> None:
    """Check what no single field shows, once.  Raises ConfigError naming the place."""
    if _VALID in config.__dict__:
        return
    if not config.service and not config.cluster:
        raise ConfigError("", "'service' is missing; add a [[service]]")
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
    if config.vrrp is not None and len(config.balancer) < 2:
        raise ConfigError(
            "vrrp",
            f"{len(config.balancer)} [[balancer]] came, standing by takes two; "
            f"add one, or remove [vrrp]",
        )
    if slots > MAX_SLOTS_IN_FILE:
        raise ConfigError(
            "service",
            f"the tables need {slots:,} slots together, {MAX_SLOTS_IN_FILE:,} is the most; "
            f"give the services fewer slots",
        )
    config.__dict__[_VALID] = True


def _validate_service(where: str, service: Service, vips: set[Address], *, config: Config) -> int:
    """Everything about one service; returns its slots."""
    _validate_words(where, service)
    _validate_servers(where, service, vips)
    return _validate_choice(where, service, "servers", config)


def _validate_matches(config: Config) -> None:
    taken: dict[tuple[Address, int | None, int | None], str] = {}
    for number, service in enumerate(config.service):
        match = (service.vip, service.port, service.protocol)
        if match in taken:
            raise ConfigError(
                f"service[{number}]",
                f"{service.vip} port {_or_any(service.port)} {_protocol(service)} is taken by "
                f"service {taken[match]!r} already and a packet can have one service only; "
                f"give another port or protocol, or put the servers into one service",
            )
        taken[match] = service.name


def _validate_cluster(where: str, cluster: Cluster, config: Config) -> int:
    """Everything about one cluster; returns its slots."""
    slots = _validate_choice(where, cluster, "members", config)
    names = {member.name for member in cluster.members}
    for number, other in enumerate(config.cluster):
        if other is cluster:
            continue
        if other.address == cluster.address and f"cluster[{number}]" < where:
            raise ConfigError(
                f"{where}.address",
                f"{_or_any(cluster.address)} is shared by cluster {other.name!r} already; "
                f"put the members into one cluster",
            )
        if other.mac != cluster.mac and names & {item.name for item in other.members}:
            raise ConfigError(
                f"{where}.mac",
                f"{cluster.mac.hex(':')} came, but cluster {other.name!r} has members of the same "
                f"name and {other.mac.hex(':')}; a node listens to one such address, "
                f"write the same in both",
            )
        for member in cluster.members:
            _same_place(f"{where}.members", member, other)
    for service in config.service:
        if service.vip == cluster.address:
            raise ConfigError(
                f"{where}.address",
                f"{cluster.address} is the VIP of service {service.name!r}; "
                f"an address is balanced or shared, give one of them another",
            )
    return slots


def _same_place(where: str, member: Member, other: Cluster) -> None:
    """A node is a member on one interface, in one mode, whatever the cluster."""
    for again in other.members:
        if again.name == member.name and (again.interface, again.mode) != (
            member.interface,
            member.mode,
        ):
            raise ConfigError(
                where,
                f"{member.name!r} is on {member.interface} ({member.mode}) here and on "
                f"{again.interface} ({again.mode}) in cluster {other.name!r}; write the "
                f"same in both",
            )


def _validate_return_path(where: str, path: ReturnPath, config: Config) -> int:
    """Everything about one return path; returns its slots, once for each service it has."""
    _unique(f"{where}.senders", [sender.name for sender in path.senders])
    known = [service.name for service in config.service]
    for number, name in enumerate(path.services):
        if name not in known:
            raise ConfigError(
                f"{where}.services[{number}]",
                f"{name!r} is no service of this file, it has {', '.join(known) or 'none'}",
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
    where: str, choice: Service | Cluster | ReturnPath, owners: str, config: Config
) -> int:
    """Key, table and owners, the same for whoever asks; returns the slots."""
    if choice.table == "modulo" and choice.slots is not None:
        raise ConfigError(
            f"{where}.slots",
            f"slots = {choice.slots} came, but the slots of modulo are its {owners} times their "
            f"weights; leave slots away, or use table = 'maglev'",
        )
    if choice.slots is not None and not _is_prime(choice.slots):
        raise ConfigError(
            f"{where}.slots",
            f"{choice.slots} is not a prime, maglev needs one; 65537 is a good choice",
        )
    weights = [owner.weight for owner in choice.owners]
    _unique(f"{where}.{owners}", [owner.name for owner in choice.owners])
    if not any(weights):
        raise ConfigError(
            f"{where}.{owners}",
            f"every weight is 0, nobody would own a slot; "
            f"give one {owners.removesuffix('s')} a weight",
        )
    total = slots_of(choice.table, weights, choice.slots)
    if total > MAX_SLOTS:
        raise ConfigError(
            f"{where}.{owners}",
            f"{total:,} slots are needed, {MAX_SLOTS:,} is the most; lower the weights",
        )
    if (owning := sum(1 for weight in weights if weight)) > total:
        raise ConfigError(
            f"{where}.slots",
            f"{total:,} slots cannot hold {owning:,} {owners}; choose a larger prime",
        )
    if choice.key.hashed and config.secret is None:
        raise ConfigError(
            f"{where}.key",
            f'{str(choice.key)!r} is a hash and needs a secret; put secret = "…" (32 hexadecimal '
            f'digits, `openssl rand -hex 16`) or secret_file = "…" at the top of the file',
        )
    if choice.fragments == "forward" and choice.key.reads_ports:
        raise ConfigError(
            f"{where}.fragments",
            f"'forward' needs a key without ports, but {str(choice.key)!r} came: "
            f"a later fragment carries none; use e.g. 'src_ip + dst_ip'",
        )
    return total


def _validate_words(where: str, service: Service) -> None:
    number = service.protocol
    if service.port is not None and number is not None and number not in WITH_PORTS:
        raise ConfigError(
            f"{where}.port",
            f'{_protocol(service)} has no ports, but port {service.port} came; write port = "any"',
        )
    right = {(ICMP, 6): ICMPV6, (ICMPV6, 4): ICMP}.get((number or 0, service.vip.version))
    if right:
        raise ConfigError(
            f"{where}.protocol",
            f"{_protocol(service)} is not carried by IPv{service.vip.version}; "
            f"for {service.vip} write {protocol_name(right)!r}",
        )


def _or_any(value: object) -> str:
    """As it stands in the file."""
    return "any" if value is None else str(value)


def _protocol(service: Service) -> str:
    return "any" if service.protocol is None else protocol_name(service.protocol)


_is_prime = cache(is_prime)  # a file has few sizes of tables


def _validate_servers(where: str, service: Service, vips: set[Address]) -> None:
    seen: dict[Address, str] = {}
    for number, server in enumerate(service.servers):
        address = server.address
        if type(address) is type(service.vip) and address not in vips and address not in seen:
            seen[address] = server.name
            continue
        place = f"{where}.servers[{number}].address"
        if address.version != service.vip.version:
            raise ConfigError(
                place,
                f"{server.address} is IPv{address.version}, but the VIP {service.vip} is "
                f"IPv{service.vip.version} and method {service.method} needs one family; "
                f"put this server into a service of its own family",
            )
        if address in vips:
            raise ConfigError(
                place,
                f"{server.address} is a VIP; a server is named by its own address "
                f"and has the VIP on its loopback; write its own address",
            )
        raise ConfigError(
            place,
            f"{server.address} is server {seen[address]!r} already; "
            f"give one server a larger weight instead",
        )


def _validate_fragments(where: str, service: Service, config: Config) -> None:
    """Fragments may be forwarded only where they surely meet their session's server."""
    if service.fragments != "forward":
        return
    if service.port is not None:
        raise ConfigError(
            f"{where}.fragments",
            f"'forward' needs port = \"any\", but port {service.port} came: "
            f"a later fragment carries no port to recognise the service by",
        )
    for other in _more_specific(service, config):
        raise ConfigError(
            f"{where}.fragments",
            f"'forward' is unsafe here: service {other.name!r} takes some of the same packets, "
            f"and a later fragment does not show which; use 'drop' or remove one",
        )


def _more_specific(service: Service, config: Config) -> Iterator[Service]:
    """Services that take packets from this one by a port, which later fragments do not show.

    A service that differs in the protocol alone is none of them: every
    fragment carries its protocol.
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
                f"{name!r} is taken, a name may stand once in its list; choose another",
            )
        seen.add(name)
