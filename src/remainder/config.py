"""What a user writes, as frozen values.

Rule: text becomes values here, once, and everything behind trusts them.  Structs
built in code accept text too: ``Server(name="s1", address="192.0.2.11")``.
The types are also the JSON schema for editors (``remainder schema``).
values.py has the meaning of each kind of text, sources/file.py reads files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

from msgspec import Meta, Struct

from remainder.config_kinds import (
    ATTACHED,
    CHOOSING,
    MAX_EARLIER,
    MAX_MEMBERS,
    MAX_SERVERS,
    MAX_SLOTS,
    NAME_PATTERN,
    REACHED,
    EarlierMember,
    EarlierMembers,
    EarlierServers,
    Fragments,
    Interface,
    KeyText,
    Mode,
    Name,
    ReachedAddress,
    Server,
    Slot,
    Slots,
    TableText,
    VipText,
    Vlan,
    Weight,
)
from remainder.errors import ConfigError
from remainder.flow import PROTOCOLS, Address, mac_of
from remainder.forwarding import METHODS
from remainder.selection.key import Key
from remainder.values import (
    InterfaceName,
    Mac,
    MethodName,
    Port,
    Protocol,
    Secret,
    SharedAddress,
    Vip,
    fields_of,
    settle,
)

__all__ = [
    "CLUSTER_MAC", "MAX_EARLIER", "MAX_MEMBERS", "MAX_SERVERS", "MAX_SERVICES", "MAX_SLOTS",
    "MAX_SLOTS_IN_FILE", "NAME_PATTERN", "Balancer", "Cluster", "Config", "EarlierMember",
    "EarlierMembers", "EarlierServers", "Member", "ReturnPath", "Router", "Sender", "Server",
    "Service", "Vrrp",
]  # fmt: skip

MAX_SLOTS_IN_FILE: Final = 134_217_728
"""Most slots of all services together: 256 MiB of table."""

MAX_SERVICES: Final = 16_384

CLUSTER_MAC: Final = "03:00:5e:52:4d:44"
"""Locally administered, and a group address: switches send it everywhere."""


class Service(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A VIP, port and protocol, and the servers behind them."""

    name: Name
    vip: VipText
    port: Annotated[
        Port,
        Meta(description="destination port; 'any' for all ports, or a protocol without ports"),
    ]
    protocol: Annotated[Protocol, Meta(description=f"'any' or one of {', '.join(PROTOCOLS)}")]
    key: KeyText
    table: TableText
    servers: Annotated[
        list[Server],
        Meta(
            min_length=1,
            max_length=MAX_SERVERS,
            description="servers that can own slots; their order matters to modulo",
        ),
    ]
    method: Annotated[MethodName, Meta(description=f"one of {', '.join(METHODS)}")] = "l2"
    slots: Slots | None = None
    fragments: Fragments = "drop"
    before: Annotated[
        list[EarlierServers],
        Meta(
            max_length=MAX_EARLIER,
            description="earlier calculations, newest first; one [[service.before]] for each",
        ),
    ] = []

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            name: str,
            vip: Address | str,
            port: int | Literal["any"] | None,
            protocol: int | str | None,
            key: Key | str,
            table: str,
            servers: list[Server],
            method: str = "l2",
            slots: int | None = None,
            fragments: Fragments = "drop",
            before: list[EarlierServers] = ...,
        ) -> None: ...

    def __post_init__(self) -> None:
        settle(self, _SERVICE)

    @property
    def owners(self) -> list[Server]:
        """The possible owners of slots."""
        return self.servers


_SERVICE: Final = CHOOSING + fields_of(vip=Vip, port=Port, protocol=Protocol, method=MethodName)
_CLUSTER: Final = CHOOSING + fields_of(address=SharedAddress, mac=Mac)
_CONFIG: Final = fields_of(secret=Secret)


class Balancer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """A node that balances: found by its name (``--node``, else the host name)."""

    name: Name
    interface: Interface
    mode: Mode = "auto"
    assign_vips: Annotated[
        bool,
        Meta(description="put the VIPs on the interface while running, so ARP and ND are answered"),
    ] = False
    vlan: Vlan | None = None

    def __post_init__(self) -> None:
        settle(self, ATTACHED)


class Vrrp(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How balancers take over from one another (claims 15, 16): the first in the file leads."""

    router_id: Annotated[
        int, Meta(ge=1, le=255, description="VRRP router ID, unique on the segment")
    ]
    advert_interval_s: Annotated[
        float,
        Meta(ge=0.01, le=40.95, description="a standby takes over after about three of silence"),
    ] = 1.0


class Member(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """A node of a cluster that selects itself: keeps the packets it owns, leaves the others."""

    name: Name
    interface: Interface
    weight: Weight = 1
    slot: Slot | None = None
    mode: Mode = "auto"
    vlan: Vlan | None = None

    def __post_init__(self) -> None:
        settle(self, ATTACHED)


class Cluster(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Routers, proxies or servers that all receive every packet; one keeps it (claims 34-43)."""

    name: Name
    address: Annotated[
        SharedAddress,
        Meta(description="the shared address, or 'any' for all packets through the members"),
    ]
    key: KeyText
    table: TableText
    members: Annotated[
        list[Member],
        Meta(min_length=1, max_length=MAX_MEMBERS, description="members that can own slots"),
    ]
    mac: Annotated[Mac, Meta(description="the MAC address that reaches every member")] = mac_of(
        CLUSTER_MAC
    )
    slots: Slots | None = None
    fragments: Fragments = "drop"
    before: Annotated[
        list[EarlierMembers],
        Meta(
            max_length=MAX_EARLIER,
            description="earlier calculations, newest first; one [[cluster.before]] for each",
        ),
    ] = []

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            name: str,
            address: Address | str | None,
            key: Key | str,
            table: str,
            members: list[Member],
            mac: bytes | str = CLUSTER_MAC,
            slots: int | None = None,
            fragments: Fragments = "drop",
            before: list[EarlierMembers] = ...,
        ) -> None: ...

    def __post_init__(self) -> None:
        settle(self, _CLUSTER)

    @property
    def owners(self) -> list[Member]:
        """The possible owners of slots."""
        return self.members


class Router(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """A router or proxy that senders send through."""

    name: Name
    address: ReachedAddress
    weight: Weight = 1
    slot: Slot | None = None

    if TYPE_CHECKING:

        def __init__(
            self, *, name: str, address: Address | str, weight: int = 1, slot: int | None = None
        ) -> None: ...

    def __post_init__(self) -> None:
        settle(self, REACHED)


class Sender(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """A node that chooses the router for the packets it sends."""

    name: Name
    interface: Annotated[InterfaceName, Meta(description="interface on which packets leave")]
    vlan: Vlan | None = None

    def __post_init__(self) -> None:
        settle(self, ATTACHED)


class ReturnPath(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Servers send through the router/proxy that the calculation names (claims 44-48).

    The key reads the flow as on the way in: source is the client, destination the service.
    """

    name: Name
    key: KeyText
    table: TableText
    routers: Annotated[
        list[Router],
        Meta(min_length=1, max_length=MAX_SERVERS, description="routers that can own slots"),
    ]
    senders: Annotated[list[Sender], Meta(min_length=1, description="servers that choose routers")]
    services: Annotated[
        list[Name], Meta(description="services whose answers it covers; default: all in the file")
    ] = []
    others: Annotated[
        bool, Meta(description="also cover all other outgoing flows that leave the segment")
    ] = False
    slots: Slots | None = None
    fragments: Fragments = "drop"

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            name: str,
            key: Key | str,
            table: str,
            routers: list[Router],
            senders: list[Sender],
            services: list[str] = ...,
            others: bool = False,
            slots: int | None = None,
            fragments: Fragments = "drop",
        ) -> None: ...

    def __post_init__(self) -> None:
        settle(self, CHOOSING)

    @property
    def owners(self) -> list[Router]:
        """The possible owners of slots."""
        return self.routers


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """The whole file."""

    # dict: ``validate`` notes there that the rules between the fields hold.  A copy made
    # by ``replace`` lacks the note, and is validated again.

    service: Annotated[
        list[Service], Meta(max_length=MAX_SERVICES, description="one [[service]] for each")
    ] = []
    balancer: Annotated[list[Balancer], Meta(description="one [[balancer]] for each node")] = []
    vrrp: Annotated[
        Vrrp | None, Meta(description="how the balancers take over from each other")
    ] = None
    cluster: Annotated[
        list[Cluster], Meta(description="one [[cluster]] for each shared address")
    ] = []
    return_path: Annotated[
        list[ReturnPath], Meta(description="one [[return_path]] for each set of routers")
    ] = []
    secret: (
        Annotated[Secret, Meta(description="32 hexadecimal digits, for hash(...) keys")] | None
    ) = None
    secret_file: (
        Annotated[str, Meta(max_length=255, description="path of a file with the secret")] | None
    ) = None

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            service: list[Service] = ...,
            balancer: list[Balancer] = ...,
            vrrp: Vrrp | None = None,
            cluster: list[Cluster] = ...,
            return_path: list[ReturnPath] = ...,
            secret: bytes | str | None = None,
            secret_file: str | None = None,
        ) -> None: ...

    def __post_init__(self) -> None:
        settle(self, _CONFIG)

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
            "balancer", f"no balancer named {node!r} in the file, only {names}; choose with --node"
        )
