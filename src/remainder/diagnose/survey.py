"""Ask a segment: who is there, who answers for the VIPs, and does what we forward get through?

Three rounds of a second each, for people only; the calculation never uses them
(claims 3, 4).  What is sent stands in docs/operations.md.

1. ARP and neighbour discovery for the VIPs, the servers and the gateways.
2. A ping of the VIP to the MAC of each server that answered, with a TTL of 1.
3. The same with an unused source address of the segment, as a forwarded packet has a
   source that is not ours.  A server that gets it asks the segment for that address,
   and we hear the question; a switch that filters sources leaves us waiting.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final

from remainder.diagnose import frames
from remainder.diagnose.frames import Expired, Ponged, Told, Understood, Wondered
from remainder.fleet import Part
from remainder.flow import Address
from remainder.kernel.netlink import Interface
from remainder.kernel.packets import Wire

ANSWER_S: Final = 0.7
AGAIN_S: Final = 0.2
_BURST: Final = 64
"""Frames at a time; a segment with a thousand servers shall not get them all at once."""

_SMALLEST_HOST_BITS: Final = 3
_SAME_GROUP_BITS: Final = 24
"""Of an IPv6 address: its solicited-node group, which our interface hears already."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where we ask from."""

    interface: Interface
    own: frozenset[Address]
    """Addresses of the interface."""
    networks: Collection[IPv4Network | IPv6Network] = ()
    gateways: Collection[Address] = ()
    known: frozenset[Address] = frozenset()
    """Others that somebody on the segment has."""

    def source(self, version: int, vips: Collection[Address]) -> Address | None:
        """An ordinary address of our own, for pings."""
        found = [
            address
            for address in self.own
            if address.version == version and address not in vips and not address.is_link_local
        ]
        return min(found, default=None, key=int)

    def asker(self, version: int, vips: Collection[Address]) -> Address | None:
        """An address of our own to ask the segment with."""
        found = [item for item in self.own if item.version == version and item not in vips]
        return self.source(version, vips) or min(found, default=None, key=int)


@dataclass
class Survey:
    """What the segment said."""

    told: dict[Address, set[bytes]] = field(default_factory=dict)
    """Address → MACs that answered for it."""
    asked: set[Address] = field(default_factory=set)
    pinged: set[tuple[Address, bytes]] = field(default_factory=set)
    """(VIP, MAC of a server)"""
    ponged: set[tuple[Address, bytes]] = field(default_factory=set)
    expired: set[tuple[Address, bytes]] = field(default_factory=set)
    """Those of ``pinged`` that would have been forwarded."""
    foreign: dict[int, Address] = field(default_factory=dict)
    """IP version → the foreign source that was tried."""
    wondered: dict[int, set[bytes]] = field(default_factory=dict)
    """IP version → MACs of servers that wanted to answer it."""


def survey(wire: Wire, part: Part, place: Place, *, foreign: bool) -> Survey:
    """Ask; takes about a second, two more with ``foreign``."""
    found = Survey()
    plan = part.plan
    servers = {address for _, _, address in plan.reached}
    targets = plan.vips | servers | frozenset(place.gateways)
    _who_has(wire, place, plan.vips, targets, found)
    if part.role == "balancer":
        _ping(wire, part, place, found)
        if foreign:
            _ping_as_a_stranger(wire, part, place, found)
    return found


def _who_has(
    wire: Wire, place: Place, vips: Collection[Address], targets: Iterable[Address], found: Survey
) -> None:
    """Wait to the end: a second answer for a VIP is the one that matters."""
    mac = place.interface.mac
    asking = {
        target: frames.who_has(target, mac=mac, own=own)
        for target in sorted(targets, key=lambda item: (item.version, item))
        for own in [place.asker(target.version, vips)]
        if target not in place.own - set(vips) and (own is not None or target.version == 4)
    }
    found.asked |= asking.keys()
    patient = any(target in vips for target in asking)

    def take(heard: Understood) -> None:
        if isinstance(heard, Told) and heard.address in asking and heard.mac != mac:
            found.told.setdefault(heard.address, set()).add(heard.mac)

    _exchange(
        wire,
        lambda: [frame for target, frame in asking.items() if target not in found.told],
        take,
        done=lambda: not patient and asking.keys() <= found.told.keys(),
    )


def _ping(wire: Wire, part: Part, place: Place, found: Survey) -> None:
    """Twice, if need be: a single lost answer is no reason to warn."""
    vips = part.plan.vips
    for vip, mac in pairs(part, found.told):
        if place.source(vip.version, vips) is not None:
            found.pinged.add((vip, mac))
    identifier = os.getpid() & 0xFFFF

    def open_() -> list[bytes]:
        return [
            frames.ping(
                vip, source=source, identifier=identifier, mac=place.interface.mac, server_mac=mac
            )
            for vip, mac in sorted(found.pinged - found.ponged - found.expired, key=str)
            if (source := place.source(vip.version, vips)) is not None
        ]

    def take(heard: Understood) -> None:
        """An answer counts for the VIP it comes from and the MAC it was sent by."""
        if isinstance(heard, Ponged | Expired) and heard.identifier == identifier:
            pair = heard.address, heard.mac
            if pair in found.pinged:
                (found.ponged if isinstance(heard, Ponged) else found.expired).add(pair)

    for _ in range(2):
        _exchange(wire, open_, take, done=lambda: not open_())


def pairs(part: Part, told: Mapping[Address, Collection[bytes]]) -> list[tuple[Address, bytes]]:
    """(VIP, MAC) of every server that answered, for each of its services; each once."""
    vips = {planned.name: planned.choice.match.address for planned in part.plan.choices}
    found = {
        (vips[service], mac): None
        for service, _, address in part.plan.reached
        for mac in told.get(address, ())
    }
    return list(found)


def _ping_as_a_stranger(wire: Wire, part: Part, place: Place, found: Survey) -> None:
    vips = part.plan.vips
    for version in (4, 6):
        servers = {pair for pair in found.ponged if pair[0].version == version}
        source = place.source(version, vips)
        if not servers or source is None:
            continue
        stranger = _unused(wire, part, place, source)
        if stranger is None:
            continue
        found.foreign[version] = stranger
        _wait_for_questions(wire, place.interface.mac, stranger, servers, found)


def _wait_for_questions(
    wire: Wire,
    own_mac: bytes,
    stranger: Address,
    servers: set[tuple[Address, bytes]],
    found: Survey,
) -> None:
    macs = {mac for _, mac in servers}
    wondered = found.wondered.setdefault(stranger.version, set())
    asking = [
        frames.ping(vip, source=stranger, identifier=0, mac=own_mac, server_mac=mac)
        for vip, mac in sorted(servers, key=str)
    ]

    def take(heard: Understood) -> None:
        if isinstance(heard, Wondered) and heard.address == stranger and heard.mac in macs:
            wondered.add(heard.mac)

    for _ in range(2):
        _exchange(wire, lambda: asking, take, done=lambda: bool(wondered))


def _unused(wire: Wire, part: Part, place: Place, source: Address) -> Address | None:
    """An address beside ours that nobody has, as RFC 5227 finds out; None if there is none."""
    taken = place.own | place.known | part.plan.vips | set(place.gateways)
    taken |= {address for _, _, address in part.plan.reached}
    candidates = [item for item in _beside(source, place.networks) if item not in taken]
    had: set[Address] = set()
    mac = place.interface.mac
    asking = [
        frames.who_has(item, mac=mac, own=source if item.version == 6 else None)
        for item in candidates
    ]

    def take(heard: Understood) -> None:
        if isinstance(heard, Told | Wondered) and heard.address in candidates:
            had.add(heard.address)

    if candidates:
        _exchange(wire, lambda: asking, take, done=lambda: had == set(candidates))
    return next((item for item in candidates if item not in had), None)


def _beside(source: Address, networks: Collection[IPv4Network | IPv6Network]) -> list[Address]:
    """Some addresses of the network of one; of IPv6 those of its own solicited-node group."""
    network = next((item for item in networks if source in item), None)
    if network is None:
        return []
    bits = network.max_prefixlen - network.prefixlen
    if source.version == 6:
        if bits < _SAME_GROUP_BITS + _SMALLEST_HOST_BITS:
            return []
        return [ip_address(int(source) ^ (number << _SAME_GROUP_BITS)) for number in (5, 3, 6)]
    if bits < _SMALLEST_HOST_BITS:
        return []
    size, first = 1 << bits, int(network.network_address)
    return [
        ip_address(first + 1 + (size * 2 // 3 + number) % (size - 2))
        for number in range(min(size - 2, 4))
    ]


def _exchange(
    wire: Wire,
    asking: Callable[[], list[bytes]],
    take: Callable[[Understood], None],
    *,
    done: Callable[[], bool],
) -> None:
    """Ask and ask again until all is done or time is up."""
    deadline_s = wire.now_s() + ANSWER_S
    again_s, left = wire.now_s(), list[bytes]()
    while (now_s := wire.now_s()) < deadline_s and not done():
        if now_s >= again_s and not left:
            left, again_s = asking(), now_s + AGAIN_S
        for question in left[:_BURST]:
            wire.send(question)
        left = left[_BURST:]
        frame = wire.heard(0.005 if left else min(0.05, deadline_s - now_s))
        if frame is not None and (heard := frames.understood(frame)) is not None:
            take(heard)
