"""Everything that Hypothesis draws: addresses, flows, files, plans, and frames.

``cases()`` is a plan, what the balancer knows, and dozens of frames, so that a plan is loaded
once for many frames.
Rule: the first of several alternatives is the plainest, because Hypothesis shrinks towards it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final, Literal

import msgspec
from hypothesis import strategies as st

from remainder.config import Config, Server, Service
from remainder.errors import ConfigError
from remainder.flow import PROTOCOLS, WITH_PORTS, Address, Flow
from remainder.plan import Plan, make_plan
from remainder.reference import Node
from remainder.selection.key import FIELDS, PORT_FIELDS
from remainder.validation import validate
from tests import frames as build
from tests import recipes
from tests.dice import shares
from tests.recipes import CLIENTS, OTHER_PROTOCOLS, SERVERS, VIPS

_SUBSETS: Final = [
    fields for size in range(1, len(FIELDS) + 1) for fields in itertools.combinations(FIELDS, size)
]
KEYS: Final = [
    "src_ip + dst_ip + dst_port",
    "src_ip + src_port + dst_ip + dst_port + protocol",
    *(" + ".join(fields) for fields in _SUBSETS),
    *(f"hash({', '.join(reversed(fields))})" for fields in _SUBSETS),
]
PORTLESS_KEYS: Final = [key for key in KEYS if not any(port in key for port in PORT_FIELDS)]
PRIMES: Final = (7, 2, 3, 5, 13, 31, 251, 1021, 4093, 65_537)
SECRETS: Final = ("000102030405060708090a0b0c0d0e0f", "f" * 32, "0" * 32, "80000000000000FF" * 2)
CLAIMS: Final[Sequence[tuple[int | Literal["any"], str]]] = [
    *((80, "tcp"), (80, "udp"), (443, "tcp"), (53, "udp"), (65535, "sctp"), (1, "dccp")),
    *((80, "any"), (443, "any"), (9, "udplite"), ("any", "tcp"), ("any", "udp"), ("any", "any")),
    *(("any", "icmp"), ("any", "gre")),
]
"""(port, protocol) of services; ``icmp`` stands for the family's own."""

_versions = st.sampled_from([4, 6])
_words = st.integers(0, 0xFFFF)
_any_address: Final[dict[int, st.SearchStrategy[Address]]] = {
    4: st.integers(0, 2**32 - 1).map(IPv4Address),
    6: st.integers(0, 2**128 - 1).map(IPv6Address),
}


def addresses(version: int) -> st.SearchStrategy[Address]:
    """Any address of a family, often a usual one."""
    return st.sampled_from(CLIENTS[version] + VIPS[version]) | _any_address[version]


# --- flows


@st.composite
def flows(draw: st.DrawFn) -> Flow:
    """Flows that whole packets can have, to anywhere."""
    version = draw(_versions)
    source, destination = draw(addresses(version)), draw(addresses(version))
    protocols = [
        number for number in (*PROTOCOLS.values(), *OTHER_PROTOCOLS) if _is_final(number, version)
    ]
    protocol = draw(st.sampled_from(protocols))
    return _flow(draw, source, recipes.Aim(destination, draw(_words), protocol))


@st.composite
def flows_to(draw: st.DrawFn, plan: Plan) -> Flow:
    """Flows of whole packets to the plan's services, or to just beside them."""
    aims = itertools.chain.from_iterable(recipes.aims_of(plan))
    aim = draw(
        st.sampled_from([aim for aim in aims if _is_final(aim.protocol, aim.address.version)])
    )
    return _flow(draw, draw(addresses(aim.address.version)), aim)


def _is_final(protocol: int, version: int) -> bool:
    """Whether a reader stops at the protocol: it is no extension header."""
    return version == 4 or protocol not in build.EXTENSION_HEADERS


def _flow(draw: st.DrawFn, source: Address, aim: recipes.Aim) -> Flow:
    has_ports = aim.protocol in WITH_PORTS
    has_identifier = aim.protocol == build.ICMP_OF[source.version]
    return Flow(
        source,
        draw(_words) if has_ports or has_identifier else 0,
        aim.address,
        aim.port if has_ports else 0,
        aim.protocol,
    )


# --- files, plans, and what the balancer knows


@st.composite
def configs(draw: st.DrawFn) -> Config:
    """Valid files: one to four VIPs of one or both families, one to four services on each."""
    vips = draw(st.lists(st.sampled_from(VIPS[4] + VIPS[6]), min_size=1, max_size=4, unique=True))
    services: list[Service] = []
    for vip in vips:
        for port, protocol in draw(_claims):
            services.append(_service(draw, f"service-{len(services)}", vip, port, protocol))
    config = Config(service=services, secret=draw(st.sampled_from(SECRETS)))
    for number, service in enumerate(services):
        if service.port is None and not service.key.reads_ports and draw(st.booleans()):
            config = _with_forwarded_fragments(config, number)
    return config


_claims: st.SearchStrategy[list[tuple[int | Literal["any"], str]]] = st.one_of(
    st.lists(st.sampled_from(CLAIMS), min_size=1, max_size=4, unique=True),
    st.lists(st.sampled_from(CLAIMS), min_size=1, max_size=4, unique=True),
    st.just([("any", "any")]),  # the one that may forward any fragment
)
_weights = st.just([1] * 6) | st.lists(
    st.sampled_from([1, 2, 3, 0, 5, 17, 255]), min_size=6, max_size=6
)
_owners = st.lists(st.sampled_from(range(8)), min_size=1, max_size=6, unique=True)
_keys = st.sampled_from(KEYS)
_keys_of_any_port = st.sampled_from(shares((1, KEYS), (2, PORTLESS_KEYS)))


def _service(
    draw: st.DrawFn, name: str, vip: Address, port: int | Literal["any"], protocol: str
) -> Service:
    owners, weights = draw(_owners), draw(_weights)
    if not any(weights[: len(owners)]):
        weights = [1, *weights[1:]]
    table = draw(st.sampled_from(["modulo", "maglev", "rendezvous", "fixed"]))
    homes = [sum(weights[:at]) + at for at in range(len(owners) + 1)] if table == "fixed" else []
    primes = [prime for prime in PRIMES if prime >= len(owners)]
    return Service(
        name=name,
        vip=str(vip),
        port=port,
        protocol="icmpv6" if vip.version == 6 and protocol == "icmp" else protocol,
        key=draw(_keys_of_any_port if port == "any" else _keys),
        table="modulo" if homes else table,
        slots=homes[-1] if homes else draw(st.sampled_from(primes)) if table != "modulo" else None,
        servers=[
            Server(
                name=f"s{owner}",
                address=str(SERVERS[vip.version][owner]),
                weight=weight,
                slot=homes[at] if homes else None,
            )
            for at, (owner, weight) in enumerate(zip(owners, weights, strict=False))
        ],
    )


def _with_forwarded_fragments(config: Config, number: int) -> Config:
    """Let a service forward fragments, if the file may say so."""
    services = list(config.service)
    services[number] = msgspec.structs.replace(services[number], fragments="forward")
    changed = msgspec.structs.replace(config, service=services)
    try:
        validate(changed)
    except ConfigError:
        return config
    return changed


def plans() -> st.SearchStrategy[Plan]:
    """Plans of valid files."""
    return configs().map(make_plan)


def nodes(plan: Plan) -> st.SearchStrategy[Node]:
    """A balancer that has resolved all of the plan's servers, or all but a few."""
    servers = list(
        dict.fromkeys(
            owner.address for one in plan.choices for owner in one.owners if owner.address
        )
    )
    macs = {address: build.mac(0x100 + number) for number, address in enumerate(servers)}
    some = st.lists(st.sampled_from(servers), min_size=1, max_size=3)
    return st.builds(
        lambda missing, others, vlan: Node(
            mac=build.BALANCER,
            vlan=vlan,
            macs={address: mac for address, mac in macs.items() if address not in missing},
            **others,
        ),
        st.one_of(st.just([]), st.just([]), some),
        st.sampled_from(OTHER_MACS),
        st.sampled_from(VLANS),
    )


VLANS: Final = (None, None, None, 5, 0xF05)
"""Of the balancer: most often none; the low byte of the last two is alike."""

OTHER_MACS: Final[Sequence[dict[str, list[bytes]]]] = (
    {},
    {"accepted_macs": [recipes.SECOND_MAC], "strange_macs": [recipes.THIRD_MAC]},
    {
        "accepted_macs": [build.mac(0x200 + number) for number in range(7)],
        "strange_macs": [
            *(build.mac(0x300 + number) for number in range(7)),
            recipes.THIRD_MAC,
            recipes.SECOND_MAC,
        ],
    },
)
"""Of the same machine: none, one of each, and as many as there is room for."""


# --- frames

_recipes = st.binary(min_size=recipes.RECIPE_BYTES, max_size=recipes.RECIPE_BYTES)


def frames(plan: Plan, node: Node) -> st.SearchStrategy[bytes]:
    """Frames of 14 to 3,500 bytes; most are to a VIP, and get past the first rules."""
    aims = recipes.aims_of(plan)
    return _recipes.map(lambda recipe: recipes.frame(recipe, aims, node.mac, vlan=node.vlan))


def short_frames() -> st.SearchStrategy[bytes]:
    """Frames too short for an Ethernet header, which the kernel's test facility refuses."""
    start = build.ethernet(build.BALANCER, build.ROUTER, ethertype=build.IPV4)
    return st.integers(0, 13).map(lambda size: start[:size]) | st.binary(max_size=13)


@dataclass(frozen=True)
class Case:
    """A plan, what the balancer knows, and frames to try on both."""

    config: Config
    plan: Plan
    node: Node
    frames: list[bytes]

    def __repr__(self) -> str:
        services = "\n".join(f"    {_brief(service)}" for service in self.config.service)
        shown = "\n".join(f"    {frame.hex()}" for frame in self.frames[:FRAMES_SHOWN])
        return (
            f"Case of secret {self.config.secret!r}, services\n{services}\n  resolved "
            f"{', '.join(map(str, self.node.macs))}\n  {len(self.frames)} frames, first\n{shown}"
        )

    def _repr_pretty_(self, printer: Any, _: object) -> None:
        """Hypothesis would print all fields, and a warning that this is too much."""
        printer.text(repr(self))


def _brief(service: Service) -> str:
    servers = " ".join(f"{one.name}={one.address}*{one.weight}" for one in service.servers)
    return (
        f"{service.name}: {service.vip} {service.port} {service.protocol}, {service.key}, "
        f"{service.table} {service.slots or ''}, fragments {service.fragments}, {servers}"
    )


@st.composite
def cases(draw: st.DrawFn, *, frames_max: int = 100) -> Case:
    """A plan and, more often than not, dozens of frames."""
    config = draw(configs())
    plan = make_plan(config)
    node = draw(nodes(plan))
    another = frames(plan, node)
    drawn = [draw(another)]
    while len(drawn) < frames_max and draw(_goes_on):
        drawn.append(draw(another))
    return Case(config, plan, node, drawn)


FRAMES_SHOWN: Final = 5
_goes_on = st.sampled_from([False] + [True] * 99)
"""``lists()`` would mostly stop after a handful."""
