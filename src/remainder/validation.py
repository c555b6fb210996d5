"""What no single field of a file shows: the rules between the fields.

Rule: pure; every mistake is a ConfigError that names the place, what came, what
was wanted and what to do next.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from math import gcd

from remainder.config import (
    MAX_SLOTS,
    MAX_SLOTS_IN_FILE,
    Cluster,
    Config,
    Member,
    ReturnPath,
    Router,
    Server,
    Service,
)
from remainder.errors import ConfigError
from remainder.flow import PROTOCOLS, WITH_PORTS, Address
from remainder.forwarding import METHODS
from remainder.selection import ALGORITHMS, DEFAULT_SLOTS
from remainder.selection.key import parse_key
from remainder.selection.maglev import is_prime


def validate(config: Config) -> None:
    """Check what no single field shows.  Raises ConfigError naming the place."""
    _validate_secret(config)
    if not config.service and not config.cluster:
        raise ConfigError("", "'service' is missing; add a [[service]]")
    for kind in ("balancer", "service", "cluster", "return_path"):
        _unique(kind, [section.name for section in getattr(config, kind)])
    vips = {service.ip for service in config.service}
    slots = 0
    for number, service in enumerate(config.service):
        slots += _validate_service(f"service[{number}]", service, vips, config=config)
    _validate_claims(config)
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


def _validate_service(where: str, service: Service, vips: set[Address], *, config: Config) -> int:
    """Everything about one service; returns its slots."""
    _validate_words(where, service)
    _validate_servers(where, service, vips)
    return _validate_choice(where, service, "servers", config)


def _validate_claims(config: Config) -> None:
    claimed: dict[tuple[Address, int | None, int | None], str] = {}
    for number, service in enumerate(config.service):
        claim = (service.ip, service.port_number, service.protocol_number)
        if claim in claimed:
            raise ConfigError(
                f"service[{number}]",
                f"{service.vip} port {service.port} {service.protocol} is taken by service "
                f"{claimed[claim]!r} already and a packet can have one service only; "
                f"give another port or protocol, or put the servers into one service",
            )
        claimed[claim] = service.name


def _validate_cluster(where: str, cluster: Cluster, config: Config) -> int:
    """Everything about one cluster; returns its slots."""
    slots = _validate_choice(where, cluster, "members", config)
    names = {member.name for member in cluster.members}
    for number, other in enumerate(config.cluster):
        if other is cluster:
            continue
        if other.ip == cluster.ip and f"cluster[{number}]" < where:
            raise ConfigError(
                f"{where}.address",
                f"{cluster.address} is shared by cluster {other.name!r} already; "
                f"put the members into one cluster",
            )
        if other.mac_bytes != cluster.mac_bytes and names & {item.name for item in other.members}:
            raise ConfigError(
                f"{where}.mac",
                f"{cluster.mac} came, but cluster {other.name!r} has members of the same name and "
                f"{other.mac}; a node listens to one such address, write the same in both",
            )
        for member in cluster.members:
            _same_place(f"{where}.members", member, other)
    for service in config.service:
        if service.ip == cluster.ip:
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
    for number, router in enumerate(path.routers):
        if router.ip in {service.ip for service in config.service}:
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
    _one_of(f"{where}.table", choice.table, tuple(ALGORITHMS))
    if choice.table == "modulo" and choice.slots is not None:
        raise ConfigError(
            f"{where}.slots",
            f"slots = {choice.slots} came, but the slots of modulo are its {owners} times their "
            f"weights; leave slots away, or use table = 'maglev'",
        )
    if choice.slots is not None and not is_prime(choice.slots):
        raise ConfigError(
            f"{where}.slots",
            f"{choice.slots} is not a prime, maglev needs one; 65537 is a good choice",
        )
    those: list[Server | Member | Router] = list(getattr(choice, owners))
    _unique(f"{where}.{owners}", [owner.name for owner in those])
    if not any(owner.weight for owner in those):
        raise ConfigError(
            f"{where}.{owners}",
            f"every weight is 0, nobody would own a slot; "
            f"give one {owners.removesuffix('s')} a weight",
        )
    total = slots_of(choice.table, [owner.weight for owner in those], choice.slots)
    if total > MAX_SLOTS:
        raise ConfigError(
            f"{where}.{owners}",
            f"{total:,} slots are needed, {MAX_SLOTS:,} is the most; lower the weights",
        )
    if (owning := sum(1 for owner in those if owner.weight)) > total:
        raise ConfigError(
            f"{where}.slots",
            f"{total:,} slots cannot hold {owning:,} {owners}; choose a larger prime",
        )
    key = parse_key(choice.key, f"{where}.key")
    if key.hashed and config.secret is None:
        raise ConfigError(
            f"{where}.key",
            f'{choice.key!r} is a hash and needs a secret; put secret = "…" (32 hexadecimal '
            f'digits, `openssl rand -hex 16`) or secret_file = "…" at the top of the file',
        )
    if choice.fragments == "forward" and key.reads_ports:
        raise ConfigError(
            f"{where}.fragments",
            f"'forward' needs a key without ports, but {choice.key!r} came: "
            f"a later fragment carries none; use e.g. 'src_ip + dst_ip'",
        )
    return total


def slots_of(table: str, weights: list[int], slots: int | None) -> int:
    """How many slots a table will have."""
    if table == "modulo":
        return sum(weights) // max(gcd(*weights), 1)
    return slots or DEFAULT_SLOTS


def secret_problem(secret: str) -> str | None:
    """What is wrong with the text of a secret, without telling it; None if nothing is."""
    if re.fullmatch(r"[0-9A-Fa-f]{32}", secret):
        return None
    strangers = bool(re.search(r"[^0-9A-Fa-f]", secret))
    what = "characters" if strangers else "hexadecimal digits"
    return (
        f"{len(secret)} {what} came, wanted 32 hexadecimal digits; "
        f"`openssl rand -hex 16` makes some"
    )


def _validate_secret(config: Config) -> None:
    if config.secret is not None and (problem := secret_problem(config.secret)):
        raise ConfigError("secret", problem)


def _validate_words(where: str, service: Service) -> None:
    _one_of(f"{where}.protocol", service.protocol, ("any", *PROTOCOLS))
    _one_of(f"{where}.method", service.method, tuple(METHODS))
    number = service.protocol_number
    if service.port != "any" and number is not None and number not in WITH_PORTS:
        raise ConfigError(
            f"{where}.port",
            f'{service.protocol} has no ports, but port {service.port} came; write port = "any"',
        )
    wrong_family = {("icmp", 6): "icmpv6", ("icmpv6", 4): "icmp"}.get(
        (service.protocol, service.ip.version)
    )
    if wrong_family:
        raise ConfigError(
            f"{where}.protocol",
            f"{service.protocol} is not carried by IPv{service.ip.version}; "
            f"for {service.vip} write {wrong_family!r}",
        )


def _one_of(where: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        near = "".join(f" (did you mean {word!r}?)" for word in get_close_matches(value, known, 1))
        raise ConfigError(where, f"{value!r} came{near}, wanted one of {', '.join(known)}")


def _validate_servers(where: str, service: Service, vips: set[Address]) -> None:
    seen: dict[Address, str] = {}
    for number, server in enumerate(service.servers):
        place = f"{where}.servers[{number}].address"
        if server.ip.version != service.ip.version:
            raise ConfigError(
                place,
                f"{server.address} is IPv{server.ip.version}, but the VIP {service.vip} is "
                f"IPv{service.ip.version} and method {service.method} needs one family; "
                f"put this server into a service of its own family",
            )
        if server.ip in vips:
            raise ConfigError(
                place,
                f"{server.address} is a VIP; a server is named by its own address "
                f"and has the VIP on its loopback; write its own address",
            )
        if server.ip in seen:
            raise ConfigError(
                place,
                f"{server.address} is server {seen[server.ip]!r} already; "
                f"give one server a larger weight instead",
            )
        seen[server.ip] = server.name


def _validate_fragments(where: str, service: Service, config: Config) -> None:
    """Fragments may be forwarded only where they surely meet their session's server."""
    if service.fragments != "forward":
        return
    if service.port != "any":
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
        if other.ip != service.ip or other.port == "any":
            continue
        if other.protocol == service.protocol or "any" in (other.protocol, service.protocol):
            yield other


def _unique(where: str, names: list[str]) -> None:
    seen: set[str] = set()
    for number, name in enumerate(names):
        if name in seen:
            raise ConfigError(
                f"{where}[{number}].name",
                f"{name!r} is taken, a name may stand once in its list; choose another",
            )
        seen.add(name)
