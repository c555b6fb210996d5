"""Every role with every set of features: the rows of the table that each kernel must load.

Each row is a file that a user could write, and one frame per service that goes to an owner.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import product
from typing import Final, Literal

from remainder.config import (
    Balancer,
    Cluster,
    Config,
    Member,
    ReturnPath,
    Router,
    Sender,
    Server,
    Service,
)
from remainder.fleet import parts_of
from remainder.flow import PROTOCOLS, Flow
from remainder.kernel.abi import Feature
from remainder.kernel.oracle import CLIENT_MAC, OWN_MAC, made_up_macs
from remainder.plan import Plan, Role
from remainder.reference import Node
from remainder.reference.frame import frame_of

CLUSTER_MAC: Final = bytes.fromhex("03000000aa01")
SUM: Final = "src_ip + src_port + dst_ip + dst_port + protocol"
HASH: Final = "hash(src_ip, src_port, dst_ip, dst_port, protocol)"
ROLES: Final[Sequence[Role]] = ("balancer", "member", "sender")
FAMILIES: Final = {"IPv4": (4,), "IPv6": (6,), "IPv4 and IPv6": (4, 6)}
KEYS: Final = {"sum": (SUM,), "hash": (HASH,), "sum and hash": (SUM, HASH)}
TAKES: Final[dict[Role, Sequence[str]]] = {
    "balancer": ("any port", "any protocol", "any port and protocol", "all code", "large frames"),
    "member": ("any address", "all code", "large frames"),
    "sender": ("any port", "any protocol", "any port and protocol", "any address", "all code"),
}
"""What else a file may take; with both families and both kinds of key."""

ALL_CODE: Final = (
    Feature.SUM | Feature.HASH | Feature.ANY_PORT | Feature.ANY_PROTOCOL | Feature.ANY_ADDRESS
)
"""A program may know more than a file needs; pings are the balancer's alone to answer."""

_MORE: Final = {"all code": ALL_CODE, "large frames": Feature.BUFFERS}

_VIP: Final = {4: "203.0.113.", 6: "2001:db8:113::"}
_OWNER: Final = {4: "192.0.2.", 6: "2001:db8:2::"}
_CLIENT: Final = {4: ip_address("198.51.100.7"), 6: ip_address("2001:db8:51::7")}


@dataclass(frozen=True)
class Row:
    """One program with one set of features, and what goes through it."""

    role: Role
    features: str
    plan: Plan
    node: Node
    more: Feature
    frames: tuple[bytes, ...]

    @property
    def name(self) -> str:
        """``member, IPv4, sum``."""
        return f"{self.role}, {self.features}"


def rows() -> Iterator[Row]:
    """The whole matrix."""
    for role in ROLES:
        for family, key in product(FAMILIES, KEYS):
            yield _row(role, f"{family}, {key}", FAMILIES[family], KEYS[key], "")
        for takes in TAKES[role]:
            yield _row(role, f"everything, {takes}", (4, 6), (SUM, HASH), takes)


def _row(role: Role, name: str, families: Sequence[int], keys: Sequence[str], takes: str) -> Row:
    services = [
        _service(version, number, key, takes)
        for version, (number, key) in product(families, enumerate(keys, start=1))
    ]
    config = Config(
        # A cluster's address is no service's VIP.
        service=[] if role == "member" else services,
        balancer=[Balancer(name="n", interface="eth0")] if role == "balancer" else [],
        cluster=_clusters(services, takes) if role == "member" else [],
        return_path=_paths(services, keys, takes) if role == "sender" else [],
        secret="00112233445566778899aabbccddeeff",  # noqa: S106  (nobody's)
    )
    (part,) = parts_of(config, "n")
    macs = made_up_macs(part.plan)
    node = Node(mac=OWN_MAC, macs=macs, cluster_mac=CLUSTER_MAC if role == "member" else bytes(6))
    return Row(
        role=role,
        features=name,
        plan=part.plan,
        node=node,
        more=_MORE.get(takes, Feature(0)),
        frames=tuple(_frame(role, service) for service in services),
    )


def _service(version: int, number: int, key: str, takes: str) -> Service:
    return Service(
        name=f"v{version}-{number}",
        vip=f"{_VIP[version]}{number}",
        port="any" if takes in ("any port", "any port and protocol") else 80,
        protocol="any" if takes in ("any protocol", "any port and protocol") else "tcp",
        key=key,
        table="modulo",
        servers=[
            Server(name=f"s{last}", address=f"{_OWNER[version]}{last}") for last in (11, 12, 13)
        ],
    )


def _clusters(services: Sequence[Service], takes: str) -> list[Cluster]:
    """A shared address for each service; or the last for whatever no other takes."""
    return [
        Cluster(
            name=service.name,
            address="any" if takes == "any address" and service is services[-1] else service.vip,
            key=service.key,
            table="modulo",
            members=[Member(name=name, interface="eth0") for name in ("n", "m", "o")],
        )
        for service in services
    ]


def _paths(services: Sequence[Service], keys: Sequence[str], takes: str) -> list[ReturnPath]:
    """One way back for each key."""
    versions = sorted({service.vip.version for service in services})
    return [
        ReturnPath(
            name=f"back-{number}",
            key=key,
            table="modulo",
            services=[service.name for service in services if str(service.key) == key],
            routers=[
                Router(name=f"r{last}-v{version}", address=f"{_OWNER[version]}{last}")
                for last in (1, 2, 3)
                for version in versions
            ],
            senders=[Sender(name="n", interface="eth0")],
            others=takes == "any address" and number == 0,
        )
        for number, key in enumerate(keys)
    ]


def _frame(role: Role, service: Service) -> bytes:
    """A client's first packet, or the answer to it."""
    version: Literal[4, 6] = service.vip.version
    flow = Flow(_CLIENT[version], 40_001, service.vip, 80, PROTOCOLS["tcp"])
    if role == "sender":
        return frame_of(flow.reversed(), source_mac=OWN_MAC, destination_mac=CLIENT_MAC)
    mac = OWN_MAC if role == "balancer" else CLUSTER_MAC
    return frame_of(flow, source_mac=CLIENT_MAC, destination_mac=mac)
