"""What a user writes, as frozen values.

Rule: text becomes values here, once, and everything behind trusts them.
The types are also the JSON schema for editors (``remainder schema``).
Reading files is not done here, see sources/file.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from ipaddress import ip_address
from math import gcd
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from remainder.errors import ConfigError
from remainder.flow import PROTOCOLS, WITH_PORTS, Address
from remainder.forwarding import METHODS
from remainder.selection import ALGORITHMS, DEFAULT_SLOTS
from remainder.selection.key import parse_key
from remainder.selection.maglev import is_prime

MAX_SLOTS: Final = 1_048_576
"""Most slots of one service: keeps the kernel's 128-bit arithmetic inside 64-bit words."""

MAX_SLOTS_IN_FILE: Final = 134_217_728
"""Most slots of all services together: 256 MiB of table."""

MAX_SERVICES: Final = 16_384
MAX_SERVERS: Final = 16_384

NAME_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$(?!\n)"

Name = Annotated[
    str,
    Meta(
        # (?!\n) because Python's $ also matches before a last newline
        pattern=NAME_PATTERN,
        description="letters, digits, '.', '_' and '-', at most 63",
    ),
]
AddressText = Annotated[str, Meta(max_length=60, description="an IPv4 or IPv6 address")]


class Server(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A machine that answers for a service (claim 1a)."""

    name: Name
    address: AddressText
    weight: Annotated[int, Meta(ge=0, le=255, description="share of slots; 0 takes none")] = 1

    def __post_init__(self) -> None:
        _check_address("address", self.address)

    @property
    def ip(self) -> Address:
        """The address as a value."""
        return ip_address(self.address)


class Service(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A VIP, port and protocol, and the servers behind them."""

    name: Name
    vip: AddressText
    port: Annotated[
        Annotated[int, Meta(ge=1, le=65535)] | Literal["any"],
        Meta(description="destination port; any for all ports, and for protocols without"),
    ]
    protocol: Annotated[
        str, Meta(max_length=60, description=f"'any' or one of {', '.join(PROTOCOLS)}")
    ]
    key: Annotated[
        str,
        Meta(
            max_length=200,
            description="a sum like 'src_ip + dst_ip + dst_port', or 'hash(src_ip, src_port)'",
        ),
    ]
    table: Annotated[str, Meta(max_length=60, description=f"one of {', '.join(ALGORITHMS)}")]
    servers: Annotated[
        list[Server],
        Meta(
            min_length=1,
            max_length=MAX_SERVERS,
            description="who can own slots; modulo goes by their order",
        ),
    ]
    method: Annotated[str, Meta(max_length=60, description=f"one of {', '.join(METHODS)}")] = "l2"
    slots: (
        Annotated[
            int, Meta(ge=1, le=MAX_SLOTS, description="for maglev: a prime, 65537 if not given")
        ]
        | None
    ) = None
    fragments: Annotated[
        Literal["drop", "forward"],
        Meta(description="what becomes of fragments, see docs/packets.md"),
    ] = "drop"

    def __post_init__(self) -> None:
        _check_address("vip", self.vip)

    @property
    def ip(self) -> Address:
        """The VIP as a value."""
        return ip_address(self.vip)

    @property
    def protocol_number(self) -> int | None:
        """IANA number; None for ``any``."""
        return None if self.protocol == "any" else PROTOCOLS[self.protocol]

    @property
    def port_number(self) -> int | None:
        """None for ``any``."""
        return None if self.port == "any" else self.port


class Balancer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A node that balances: found by its name (``--node``, else the host name)."""

    name: Name
    interface: Annotated[
        str, Meta(min_length=1, max_length=15, description="where the packets come in")
    ]
    mode: Annotated[
        Literal["auto", "native", "generic"],
        Meta(description="XDP mode; auto is native where the driver can, else generic"),
    ] = "auto"
    assign_vips: Annotated[
        bool,
        Meta(description="put the VIPs on the interface while running, so that ARP is answered"),
    ] = False


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    service: Annotated[
        list[Service],
        Meta(min_length=1, max_length=MAX_SERVICES, description="one [[service]] for each"),
    ]
    balancer: Annotated[list[Balancer], Meta(description="one [[balancer]] for each node")] = []
    secret: Annotated[str, Meta(description="32 hexadecimal digits, for hash(...) keys")] | None = (
        None
    )
    secret_file: (
        Annotated[str, Meta(max_length=255, description="a file that holds the secret")] | None
    ) = None

    @property
    def secret_bytes(self) -> bytes | None:
        """The 16 bytes of the secret, if there is one."""
        return bytes.fromhex(self.secret) if self.secret is not None else None

    def balancer_named(self, node: str) -> Balancer | None:
        """This node's section; None if the file has no balancer sections at all.

        Raises ConfigError if it has some, but none for this node.
        """
        if not self.balancer:
            return None
        for candidate in self.balancer:
            if candidate.name == node:
                return candidate
        names = ", ".join(candidate.name for candidate in self.balancer)
        raise ConfigError(
            "balancer", f"no node is named {node!r}, the file has {names}; say which with --node"
        )


_BROADCAST: Final = ip_address("255.255.255.255")


def _check_address(field: str, text: str) -> None:
    """Raise ValueError, ``FIELD: what is wrong``, unless a machine can have the address."""
    try:
        address = ip_address(text)
    except ValueError:
        raise ValueError(
            f"{field}: {text!r} is no IPv4 or IPv6 address; "
            f"write one like '192.0.2.11' or '2001:db8::11'"
        ) from None
    if getattr(address, "scope_id", None):
        raise ValueError(f"{field}: {text} has a zone; write the address without '%' and the rest")
    if getattr(address, "ipv4_mapped", None):
        raise ValueError(f"{field}: {text} is an IPv4 address in IPv6 clothes; write it as IPv4")
    if (
        address.is_multicast
        or address.is_unspecified
        or address.is_loopback
        or address == _BROADCAST
    ):
        raise ValueError(
            f"{field}: {text} is no address that one machine can be reached at; "
            f"write a unicast address"
        )


def validate(config: Config) -> None:
    """Check what no single field shows.  Raises ConfigError naming the place."""
    _validate_secret(config)
    _unique("balancer", [balancer.name for balancer in config.balancer])
    _unique("service", [service.name for service in config.service])
    vips = {service.ip for service in config.service}
    claimed: dict[tuple[Address, int | None, int | None], str] = {}
    slots = 0
    for number, service in enumerate(config.service):
        where = f"service[{number}]"
        _validate_words(where, service)
        _validate_servers(where, service, vips)
        if parse_key(service.key, f"{where}.key").hashed and config.secret is None:
            raise ConfigError(
                f"{where}.key",
                f'{service.key!r} is a hash and needs a secret; put secret = "…" (32 hexadecimal '
                f'digits, `openssl rand -hex 16`) or secret_file = "…" at the top of the file',
            )
        claim = (service.ip, service.port_number, service.protocol_number)
        if claim in claimed:
            raise ConfigError(
                where,
                f"{service.vip} port {service.port} {service.protocol} is taken by service "
                f"{claimed[claim]!r} already and a packet can have one service only; "
                f"give another port or protocol, or put the servers into one service",
            )
        claimed[claim] = service.name
        slots += slots_of(service)
    for number, service in enumerate(config.service):
        if service.fragments == "forward":
            _validate_fragments(f"service[{number}]", service, config)
    if slots > MAX_SLOTS_IN_FILE:
        raise ConfigError(
            "service",
            f"the tables need {slots:,} slots together, {MAX_SLOTS_IN_FILE:,} is the most; "
            f"give the services fewer slots",
        )


def slots_of(service: Service) -> int:
    """How many slots the table of a service will have."""
    if service.table == "modulo":
        weights = [server.weight for server in service.servers]
        return sum(weights) // max(gcd(*weights), 1)
    return service.slots or DEFAULT_SLOTS


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
    for field, value, known in (
        ("protocol", service.protocol, ("any", *PROTOCOLS)),
        ("table", service.table, tuple(ALGORITHMS)),
        ("method", service.method, tuple(METHODS)),
    ):
        if value not in known:
            near = "".join(
                f" (did you mean {word!r}?)" for word in get_close_matches(value, known, 1)
            )
            raise ConfigError(
                f"{where}.{field}", f"{value!r} came{near}, wanted one of {', '.join(known)}"
            )
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
    if service.table == "modulo" and service.slots is not None:
        raise ConfigError(
            f"{where}.slots",
            f"slots = {service.slots} came, but the slots of modulo are its servers times their "
            f"weights; leave slots away, or use table = 'maglev'",
        )
    if service.slots is not None and not is_prime(service.slots):
        raise ConfigError(
            f"{where}.slots",
            f"{service.slots} is not a prime, maglev needs one; 65537 is a good choice",
        )


def _validate_servers(where: str, service: Service, vips: set[Address]) -> None:
    _unique(f"{where}.servers", [server.name for server in service.servers])
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
    if not any(server.weight for server in service.servers):
        raise ConfigError(
            f"{where}.servers",
            "every weight is 0, nobody would own a slot; give one server a weight",
        )
    total = slots_of(service)
    if total > MAX_SLOTS:
        raise ConfigError(
            f"{where}.servers",
            f"{total:,} slots are needed, {MAX_SLOTS:,} is the most; lower the weights",
        )
    owners = sum(1 for server in service.servers if server.weight)
    if owners > total:
        raise ConfigError(
            f"{where}.slots",
            f"{total:,} slots cannot hold {owners:,} servers; choose a larger prime",
        )


def _validate_fragments(where: str, service: Service, config: Config) -> None:
    """Fragments may be forwarded only where they surely meet their session's server."""
    if service.port != "any":
        raise ConfigError(
            f"{where}.fragments",
            f"'forward' needs port = \"any\", but port {service.port} came: "
            f"a later fragment carries no port to recognise the service by",
        )
    if parse_key(service.key).reads_ports:
        raise ConfigError(
            f"{where}.fragments",
            f"'forward' needs a key without ports, but {service.key!r} came: "
            f"a later fragment carries none; use e.g. 'src_ip + dst_ip'",
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
