"""What a user writes, as frozen values.

Rule: text becomes values here, once, and everything behind trusts them.
The types are also the JSON schema for editors (``remainder schema``).
Reading files is not done here, see sources/file.py.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from remainder.errors import ConfigError
from remainder.flow import PROTOCOLS, Address
from remainder.forwarding import METHODS
from remainder.selection import ALGORITHMS

MAX_SLOTS: Final = 1_048_576
"""Most slots of one service: keeps the kernel's 128-bit arithmetic inside 64-bit words."""

MAX_SLOTS_IN_FILE: Final = 134_217_728
"""Most slots of all services together: 256 MiB of table."""

MAX_SERVICES: Final = 16_384
MAX_SERVERS: Final = 16_384
MAX_MEMBERS: Final = 1_024

MAC_PATTERN: Final = r"^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$(?!\n)"
CLUSTER_MAC: Final = "03:00:5e:52:4d:44"
"""Locally administered, and a group address: switches send it everywhere."""

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
KeyText = Annotated[
    str,
    Meta(
        max_length=200,
        description="a sum like 'src_ip + dst_ip + dst_port', or 'hash(src_ip, src_port)'",
    ),
]
TableName = Annotated[str, Meta(max_length=60, description=f"one of {', '.join(ALGORITHMS)}")]
Slots = Annotated[
    int, Meta(ge=1, le=MAX_SLOTS, description="for maglev: a prime, 65537 if not given")
]
Fragments = Annotated[
    Literal["drop", "forward"],
    Meta(description="what becomes of fragments, see docs/packets.md"),
]
Weight = Annotated[int, Meta(ge=0, le=255, description="share of slots; 0 takes none")]
InterfaceName = Annotated[
    str, Meta(min_length=1, max_length=15, description="where the packets come in")
]
Mode = Annotated[
    Literal["auto", "native", "generic"],
    Meta(description="XDP mode; auto is native where the driver can, else generic"),
]


@lru_cache(maxsize=65_536)
def _parsed(text: str) -> Address:
    """An address as a value; a large file asks for each many times."""
    return ip_address(text)


class Server(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A machine that answers for a service (claim 1a)."""

    name: Name
    address: AddressText
    weight: Weight = 1

    def __post_init__(self) -> None:
        _check_address("address", self.address)

    @property
    def ip(self) -> Address:
        """The address as a value."""
        return _parsed(self.address)


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
    key: KeyText
    table: TableName
    servers: Annotated[
        list[Server],
        Meta(
            min_length=1,
            max_length=MAX_SERVERS,
            description="who can own slots; modulo goes by their order",
        ),
    ]
    method: Annotated[str, Meta(max_length=60, description=f"one of {', '.join(METHODS)}")] = "l2"
    slots: Slots | None = None
    fragments: Fragments = "drop"

    def __post_init__(self) -> None:
        _check_address("vip", self.vip)

    @property
    def ip(self) -> Address:
        """The VIP as a value."""
        return _parsed(self.vip)

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
    interface: InterfaceName
    mode: Mode = "auto"
    assign_vips: Annotated[
        bool,
        Meta(description="put the VIPs on the interface while running, so that ARP is answered"),
    ] = False


class Vrrp(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How balancers take over from one another (claims 15, 16): the first of the file leads."""

    router_id: Annotated[
        int, Meta(ge=1, le=255, description="VRRP router id, one for all balancers of a segment")
    ]
    advert_interval_s: Annotated[
        float, Meta(ge=0.01, le=40.95, description="silence of three and a bit means: take over")
    ] = 1.0


class Member(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A node of a cluster that selects itself: keeps the packets it owns, leaves the others."""

    name: Name
    interface: InterfaceName
    weight: Weight = 1
    mode: Mode = "auto"


class Cluster(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Routers, proxies or servers that all receive every packet; one keeps it (claims 34-43)."""

    name: Name
    address: Annotated[
        str,
        Meta(
            max_length=60,
            description="the shared address, or any: packets through the members, to wherever",
        ),
    ]
    key: KeyText
    table: TableName
    members: Annotated[
        list[Member],
        Meta(min_length=1, max_length=MAX_MEMBERS, description="who can own slots"),
    ]
    mac: Annotated[
        str, Meta(pattern=MAC_PATTERN, description="the MAC address that reaches every member")
    ] = CLUSTER_MAC
    slots: Slots | None = None
    fragments: Fragments = "drop"

    def __post_init__(self) -> None:
        if self.address != "any":
            _check_address("address", self.address)

    @property
    def ip(self) -> Address | None:
        """The shared address as a value; None for ``any``."""
        return None if self.address == "any" else _parsed(self.address)

    @property
    def mac_bytes(self) -> bytes:
        """The MAC address as six bytes."""
        return bytes.fromhex(self.mac.replace(":", ""))


class Router(Server, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A router or proxy that servers send through."""


class Sender(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A node that chooses the router for what it sends."""

    name: Name
    interface: Annotated[
        str, Meta(min_length=1, max_length=15, description="where the packets go out")
    ]


class ReturnPath(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Servers send through the router/proxy that the calculation names (claims 44-48).

    The key is that of the way in: source is the client, destination the service.
    """

    name: Name
    key: KeyText
    table: TableName
    routers: Annotated[
        list[Router], Meta(min_length=1, max_length=MAX_SERVERS, description="who can own slots")
    ]
    senders: Annotated[list[Sender], Meta(min_length=1, description="the servers that choose")]
    services: Annotated[
        list[Name], Meta(description="whose answers are meant; all of the file if not given")
    ] = []
    others: Annotated[
        bool, Meta(description="every other outgoing flow too, but for the segment's own")
    ] = False
    slots: Slots | None = None
    fragments: Fragments = "drop"


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    service: Annotated[
        list[Service], Meta(max_length=MAX_SERVICES, description="one [[service]] for each")
    ] = []
    balancer: Annotated[list[Balancer], Meta(description="one [[balancer]] for each node")] = []
    vrrp: Annotated[Vrrp | None, Meta(description="how the balancers stand by for one another")] = (
        None
    )
    cluster: Annotated[
        list[Cluster], Meta(description="one [[cluster]] for each shared address")
    ] = []
    return_path: Annotated[
        list[ReturnPath], Meta(description="one [[return_path]] for each set of routers")
    ] = []
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
