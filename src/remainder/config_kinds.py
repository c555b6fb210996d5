"""What sections of the file share: kinds of fields, and calculations as they were before a change.

Rule: as in config.py, which has the sections; text becomes values once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

from msgspec import Meta, Struct

from remainder.flow import Address
from remainder.selection import ALGORITHMS
from remainder.selection.key import Key
from remainder.values import (
    InterfaceName,
    KeyValue,
    MachineAddress,
    TableName,
    Vip,
    fields_of,
    settle,
)

MAX_SLOTS: Final = 1_048_576
"""Most slots of one service: keeps the kernel's 128-bit arithmetic inside 64-bit words."""

MAX_SERVERS: Final = 16_384
MAX_MEMBERS: Final = 1_024
MAX_EARLIER: Final = 4
"""Most earlier calculations of one service or cluster."""

NAME_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$(?!\n)"

Name = Annotated[
    str,
    Meta(
        # (?!\n) because Python's $ also matches before a last newline
        pattern=NAME_PATTERN,
        description="up to 63 letters, digits, '.', '_' and '-'",
    ),
]
ReachedAddress = Annotated[MachineAddress, Meta(description="an IPv4 or IPv6 address")]
VipText = Annotated[Vip, Meta(description="an IPv4 or IPv6 address")]
KeyText = Annotated[
    KeyValue,
    Meta(description="a sum like 'src_ip + dst_ip + dst_port', or 'hash(src_ip, src_port)'"),
]
TableText = Annotated[TableName, Meta(description=f"one of {', '.join(ALGORITHMS)}")]
Slots = Annotated[
    int,
    Meta(
        ge=1,
        le=MAX_SLOTS,
        description="maglev, rendezvous: a prime, 65537 by default; modulo: every owner has a slot",
    ),
]
Slot = Annotated[
    int, Meta(ge=0, lt=MAX_SLOTS, description="modulo with slots: the first of its own, from 0")
]
Fragments = Annotated[
    Literal["drop", "forward"],
    Meta(description="what to do with fragments, see docs/packets.md"),
]
Weight = Annotated[int, Meta(ge=0, le=255, description="share of slots; 0 means none")]
Interface = Annotated[InterfaceName, Meta(description="interface on which packets arrive")]
Vlan = Annotated[
    int,
    Meta(ge=1, le=4094, description="VLAN whose tagged frames are taken; default: untagged ones"),
]
Mode = Annotated[
    Literal["auto", "native", "generic"],
    Meta(description="XDP mode; auto: native if the driver supports it, otherwise generic"),
]


ATTACHED: Final = fields_of(interface=InterfaceName)
REACHED: Final = fields_of(address=MachineAddress)
_SERVER: Final = fields_of(address=MachineAddress, interface=InterfaceName)
CHOOSING: Final = fields_of(key=KeyValue, table=TableName)


class Server(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """A machine that answers for a service (claim 1a)."""

    name: Name
    address: ReachedAddress
    weight: Weight = 1
    slot: Slot | None = None
    interface: (
        Annotated[
            InterfaceName,
            Meta(
                description="interface on which packets arrive; makes the server a node, which "
                "passes on the sessions of earlier servers"
            ),
        ]
        | None
    ) = None
    mode: Mode = "auto"

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            name: str,
            address: Address | str,
            weight: int = 1,
            slot: int | None = None,
            interface: str | None = None,
            mode: Mode = "auto",
        ) -> None: ...

    def __post_init__(self) -> None:
        settle(self, REACHED)
        if self.interface is not None:
            settle(self, ATTACHED)


class EarlierServers(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A calculation of a service as it was before a change; its sessions may still live."""

    key: KeyText
    table: TableText
    servers: Annotated[
        list[Server],
        Meta(min_length=1, max_length=MAX_SERVERS, description="servers that could own slots"),
    ]
    slots: Slots | None = None

    if TYPE_CHECKING:

        def __init__(
            self, *, key: Key | str, table: str, servers: list[Server], slots: int | None = None
        ) -> None: ...

    def __post_init__(self) -> None:
        settle(self, CHOOSING)

    @property
    def owners(self) -> list[Server]:
        """The possible owners of slots."""
        return self.servers


class EarlierMember(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """A member as an earlier calculation knew it; where it listens is said in ``members``."""

    name: Name
    weight: Weight = 1
    slot: Slot | None = None


class EarlierMembers(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A calculation of a cluster as it was before a change; its sessions may still live."""

    key: KeyText
    table: TableText
    members: Annotated[
        list[EarlierMember],
        Meta(min_length=1, max_length=MAX_MEMBERS, description="members that could own slots"),
    ]
    slots: Slots | None = None

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            key: Key | str,
            table: str,
            members: list[EarlierMember],
            slots: int | None = None,
        ) -> None: ...

    def __post_init__(self) -> None:
        settle(self, CHOOSING)

    @property
    def owners(self) -> list[EarlierMember]:
        """The possible owners of slots."""
        return self.members
