"""Frames that get deep into the rules, each cooked from a few bytes: its recipe.

Every byte of a recipe is one choice, and 0 the plainest one; a recipe that is too short goes on
with zeroes.  So a frame costs Hypothesis one draw and shrinks byte by byte, and random bytes
will do where there is no Hypothesis.
Rule: what no rule of docs/packets.md looks at is not a choice.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from remainder.choice import Choice
from remainder.flow import WITH_PORTS, Address
from remainder.plan import Plan
from tests import frames as build
from tests.dice import Dice, shares

RECIPE_BYTES: Final = 40
"""Enough for nearly every frame."""

MOST_BYTES: Final = 3_500
"""Of a frame: the kernel's test facility takes what fits into a page beside its own."""


# --- addresses, shared with strategies.py


def _ips(*texts: str) -> list[Address]:
    return [ip_address(text) for text in texts]


VIPS: Final = {
    4: _ips("203.0.113.10", "203.0.113.11", "255.255.255.254", "1.0.0.0"),
    6: _ips("2001:db8::10", "2001:db8::11", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "fec0::1:0"),
}
SERVERS: Final[Mapping[int, Sequence[Address]]] = {
    4: [IPv4Address("192.0.2.10") + number for number in range(8)],
    6: [IPv6Address("2001:db8:1::10") + number for number in range(8)],
}
CLIENTS: Final = {
    4: _ips("198.51.100.1", "198.51.100.2", "198.51.101.77", "223.255.255.255"),
    6: _ips("2001:db8:2::1", "2001:db8:2::2", "2001:db8:3:4:5:6:7:8", "fe80::1", "2001:db8:4::"),
}
STRANGERS: Final = {
    4: [
        *_ips("0.0.0.1", "224.0.0.1", "255.255.255.255", "127.0.0.1", "169.254.255.255"),
        IPv4Address(0),
    ],
    6: _ips("::1", "ff02::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::", "::"),
}
"""Sources that no client has."""

ELSEWHERE: Final = {4: ip_address("203.0.113.99"), 6: ip_address("2001:db8::99")}
OTHER_PROTOCOLS: Final = (47, 50, 59, 253, 4, 255, 1, 58, 0, 43, 44, 51, 60, 135)
"""Protocols without ports; among them extension headers, and the other family's ICMP."""

_SOURCES: Final[Mapping[int, Sequence[Address | None]]] = {
    version: shares(
        (10, CLIENTS[version]),
        (2, [None]),
        (3, STRANGERS[version]),
        (1, VIPS[version]),
        (1, SERVERS[version][:2]),
    )
    for version in (4, 6)
}
"""None is any address at all."""


@dataclass(frozen=True)
class Aim:
    """What a session is addressed to."""

    address: Address
    port: int
    protocol: int


def aims_of(plan: Plan) -> list[list[Aim]]:
    """For each service: what it takes, and what it should not take, about one in six."""
    return [_aims_at(planned.choice) for planned in plan.choices]


def _aims_at(choice: Choice) -> list[Aim]:
    match = choice.match
    ports = [80, 4000, 0, 443] if match.port is None else [match.port]
    protocols = (
        [6, 17, *sorted(WITH_PORTS), *OTHER_PROTOCOLS]
        if match.protocol is None
        else [match.protocol]
    )
    hits = [Aim(match.address, port, protocol) for protocol in protocols for port in ports]
    plainest = hits[0]
    misses = [
        replace(plainest, port=plainest.port ^ 1),
        replace(plainest, port=0),
        replace(plainest, protocol=17 if plainest.protocol == 6 else 6),
        replace(plainest, protocol=253),
        replace(plainest, address=ELSEWHERE[match.address.version]),
        *(replace(plainest, address=address) for address in _half_alike(choice)),
    ]
    return hits * max(1, 5 * len(misses) // len(hits)) + misses


def _half_alike(choice: Choice) -> list[Address]:
    """Addresses elsewhere with the low half of an IPv6 VIP, which is looked up in two words.

    Few of them meet the service's place in the index, so they are others for each service.
    """
    vip = choice.match.address
    if vip.version == 4:
        return []
    chance = zlib.crc32(f"{choice.name} {choice.key}".encode())
    return [IPv6Address(int(vip) ^ 1 << 64 + chance // of % 64) for of in (1, 64)]


# --- frames


@dataclass(frozen=True)
class _Envelope:
    dst: bytes | None = None
    """another destination than the balancer"""
    src: bytes = build.ROUTER
    vlans: tuple[tuple[int, int], ...] | None = None
    """others than the balancer's own VLAN"""
    ethertype: int | None = None
    """another one than the packet's"""


SECOND_MAC: Final = build.mac(0x2222)
THIRD_MAC: Final = build.mac(0x3333)
"""Other addresses of the balancer's machine, as tests/strategies.py draws them."""

_ENVELOPES: Final = [
    *[_Envelope()] * 70,
    *[_Envelope(vlans=((build.VLAN, tag),)) for tag in (5, 0x1005, 0x0F05, 0xEF05, 0x0500, 4)],
    *[_Envelope(vlans=((build.VLAN, tag),)) for tag in (0, 0xE000, 0x1000)],
    *[_Envelope(vlans=((kind, 5), (build.VLAN, 5))) for kind in (build.VLAN, build.SERVICE_VLAN)],
    *[_Envelope(vlans=((build.VLAN, tag), (build.SERVICE_VLAN, 5))) for tag in (0, 5)],
    _Envelope(vlans=((build.VLAN, 0), (build.VLAN, 5))),
    _Envelope(vlans=((build.SERVICE_VLAN, 5),)),
    *(_Envelope(ethertype=kind) for kind in (build.ARP, build.IPV4, build.IPV6, build.VLAN)),
    *(_Envelope(dst=mac) for mac in (b"\xff" * 6, bytes.fromhex("01005e000001"), build.ROUTER)),
    *[_Envelope(src=b"\xff" * 6)] * 3,
    *[_Envelope(dst=SECOND_MAC), _Envelope(dst=THIRD_MAC)] * 4,
    _Envelope(dst=bytes(6)),
    _Envelope(dst=THIRD_MAC, vlans=((build.VLAN, 5),)),
]


def frame(
    recipe: bytes, aims: Sequence[Sequence[Aim]], mac: bytes, *, vlan: int | None = None
) -> bytes:
    """A frame of 14 to 3,500 bytes for the balancer that has ``mac``; most are to a VIP."""
    dice = Dice(recipe)
    aim = dice.pick(dice.pick(aims))
    packet = dice.pick(_KINDS)(dice, aim, _source(dice, aim.address.version))
    envelope = dice.pick(_ENVELOPES)
    own = () if vlan is None else ((build.VLAN, vlan),)
    whole = build.ethernet(
        envelope.dst or mac,
        envelope.src,
        ethertype=envelope.ethertype or build.ETHERTYPE[aim.address.version],
        vlans=own if envelope.vlans is None else envelope.vlans,
        payload=packet,
    )
    return dice.pick(_DAMAGES)(dice, whole)[:MOST_BYTES]


def _source(dice: Dice, version: int) -> Address:
    source = dice.pick(_SOURCES[version])
    if source is not None:
        return source
    return IPv4Address(dice.number(4)) if version == 4 else IPv6Address(dice.number(16))


_SIZES: Final = (8, 0, 1, 26, 64, 300)
_TTLS: Final = (61, 64, 1, 0, 255)
_TTLS_OF_SESSIONS: Final = shares((12, [61]), (4, [2, 64, 128, 255]), (1, [1, 0]))
_REQUEST_OR_REPLY: Final = (build.ECHO_REQUEST, build.ECHO_REQUEST, build.ECHO_REPLY)
_CODES: Final = shares((7, [0]), (1, [1, 255]))
_BROKEN_SUMS: Final[list[int | None]] = shares((6, [None]), (2, [0xFFFF, 0, 0xFFFE, 1]))
_MESSAGES: Final = {4: (13, 4, 5, 8, 0, 9, 128), 6: (135, 136, 134, 0, 5, 127, 130, 3)}
_ICMPS: Final = {4: shares((5, [1]), (1, [58])), 6: shares((5, [58]), (1, [1]))}
_ERRORS: Final = {4: (3, 11, 12), 6: (1, 2, 3, 4)}
_QUOTED_MESSAGES: Final = {4: (0, 8, 3, 0, 8, 13), 6: (129, 128, 1, 129, 128, 135)}
_CUTS: Final[list[int | None]] = shares((8, [None]), (2, [28, 24, 48, 44]), (2, range(16)))


def _session(dice: Dice, aim: Aim, source: Address) -> bytes:
    """A packet of a session; of ICMP, if that is what the service takes, an echo."""
    if aim.protocol == build.ICMP_OF[source.version]:
        return _echo(dice, aim, source)
    payload = build.transport(aim.protocol, dice.number(2), aim.port, bytes(dice.pick(_SIZES)))
    ttl = dice.pick(_TTLS_OF_SESSIONS)
    return _ip(dice, source, aim.address, aim.protocol, payload, ttl=ttl)


def _echo(dice: Dice, aim: Aim, source: Address) -> bytes:
    """An echo request or reply to the VIP, its checksums not always right."""
    version = source.version
    message = build.echo(
        source,
        aim.address,
        kind=dice.pick(_REQUEST_OR_REPLY)[version],
        code=dice.pick(_CODES),
        identifier=dice.number(2),
        payload=bytes(number & 0xFF for number in range(dice.pick(_SIZES))),
    )
    ttl, broken_sum = dice.pick(_TTLS), dice.pick(_BROKEN_SUMS)
    packet = _ip(dice, source, aim.address, build.ICMP_OF[version], message, ttl=ttl)
    if broken_sum is None:
        return packet
    for at in (10, 22) if version == 4 else (42,):
        packet = _patched(packet, at, broken_sum.to_bytes(2, "big"))
    return packet


def _message(dice: Dice, aim: Aim, source: Address) -> bytes:
    """An ICMP message of another type, not always of the family's own ICMP."""
    kind, protocol = dice.pick(_MESSAGES[source.version]), dice.pick(_ICMPS[source.version])
    rest, payload = dice.number(4).to_bytes(4, "big"), bytes(dice.pick(_SIZES))
    message = build.icmp(source, aim.address, kind, rest=rest, payload=payload)
    return _ip(dice, source, aim.address, protocol, message)


def _error(dice: Dice, aim: Aim, source: Address) -> bytes:
    """An ICMP error to the VIP, most often about a packet that the VIP sent."""
    version, vip, client = source.version, aim.address, _source(dice, source.version)
    sender = client if dice.below(12) == 11 else vip
    icmp = build.ICMP_OF[version]
    protocol = icmp if dice.below(6) == 5 else aim.protocol
    if protocol == icmp:
        kind, rest = dice.pick(_QUOTED_MESSAGES[version]), dice.number(2).to_bytes(2, "big")
        payload = bytes(dice.pick(_SIZES))
        inner = build.icmp(sender, client, kind, rest=rest + b"\0\x07", payload=payload)
    else:
        inner = build.transport(protocol, aim.port, dice.number(2), bytes(dice.pick(_SIZES)))
    quoted = _ip(dice, sender, client, protocol, inner)
    cut = dice.pick(_CUTS)
    quoted = quoted if cut is None else quoted[: cut + 20 * dice.below(3)]
    message = build.icmp(source, vip, dice.pick(_ERRORS[version]), payload=quoted)
    return _ip(dice, source, vip, icmp, message, ttl=dice.pick(_TTLS_OF_SESSIONS))


def _severed(dice: Dice, aim: Aim, source: Address) -> bytes:
    """An ICMP error whose end is missing although its header promises it.

    What it quotes has headers to step over and no ports, so nothing behind them is read:
    that they end too early can be told by counting alone.
    """
    version, vip = source.version, aim.address
    quoted = _headed(dice, vip, _source(dice, version), dice.pick((47, aim.protocol)), b"")
    message = build.icmp(source, vip, dice.pick(_ERRORS[version]), payload=quoted)
    packet = _headed(dice, source, vip, build.ICMP_OF[version], message)
    return packet[: len(packet) - dice.below(min(len(packet), 64))]


_KINDS: Final[Sequence[Callable[[Dice, Aim, Address], bytes]]] = shares(
    (7, [_session]), (5, [_error]), (4, [_echo]), (1, [_message]), (1, [_severed])
)


# --- IP headers, with what may stand in and behind them

_STYLES: Final = shares((9, ["plain"]), (3, ["headers"]), (3, ["fragment"]), (2, ["wrong"]))
_OPTIONS: Final = [bytes([1]) * size for size in (4, 8, 12, 40)]
_OFFSETS: Final = [(0, True), (1, True), (185, False), (0x1FFF, False), (0x1000, True)]
_OPTION_LIKE: Final = (build.DESTINATION_OPTIONS, build.HOP_BY_HOP, build.ROUTING)
_EXTENSIONS: Final = shares(
    (
        15,
        [
            *(build.extension(number) for number in (*_OPTION_LIKE, build.AUTHENTICATION)),
            build.fragment_header(0, more=False),
            build.Extension(build.FRAGMENT, bytes.fromhex("ff00065eed5eed")),
            *(build.extension(number, units=1) for number in (*_OPTION_LIKE, build.AUTHENTICATION)),
            *(build.extension(build.AUTHENTICATION, units=units) for units in (2, 3)),
            *(build.extension(build.DESTINATION_OPTIONS, units=units) for units in (100, 255)),
        ],
    ),
    (
        1,
        [
            build.extension(build.DESTINATION_OPTIONS, units=255, body=bytes(6)),
            build.extension(build.HOP_BY_HOP, units=1, body=bytes(6)),
            build.extension(build.AUTHENTICATION, units=255, body=bytes(6)),
            build.extension(build.AUTHENTICATION, units=1, body=bytes(6)),
            build.extension(build.ROUTING, body=bytes(2)),
        ],
    ),
)
_CHAIN_LENGTHS: Final = (1, 2, 3, 4, 5, 6, 4, 4)
_PATCHES: Final = {
    4: [
        *((2, bytes([0, size])) for size in (0, 19, 20, 23, 24, 27, 28, 36, 255)),
        *((0, bytes([first])) for first in (0x40, 0x44, 0x46, 0x4F, 0x55, 0x65)),
        *((6, flags) for flags in (b"\x80\0", b"\xc0\0", b"\xe0\0")),
    ],
    6: [
        *((4, bytes([0, size])) for size in (0, 3, 4, 7, 8, 16, 24, 47, 48, 255)),
        *((0, bytes([first])) for first in (0x40, 0x50, 0x6F)),
    ],
}
"""(offset in the IP header, bytes put there): wrong lengths, wrong versions, odd flags"""


def _ip(
    dice: Dice, src: Address, dst: Address, protocol: int, payload: bytes, *, ttl: int = 61
) -> bytes:
    style = dice.pick(_STYLES)
    if src.version == 4:
        packet = build.ipv4(
            src,
            dst,
            protocol=protocol,
            payload=payload,
            ttl=ttl,
            options=dice.pick(_OPTIONS) if style == "headers" else b"",
            fragment=dice.pick(_OFFSETS) if style == "fragment" else (0, False),
        )
    else:
        extensions: list[build.Extension] = []
        if style == "headers":
            extensions = _chain(dice, dice.pick(_CHAIN_LENGTHS))
        elif style == "fragment":
            offset, more = dice.pick(_OFFSETS)
            fragment = build.fragment_header(offset, more=more)
            extensions = [*_chain(dice, dice.below(5)), fragment, *_chain(dice, dice.below(3) // 2)]
        packet = build.ipv6(
            src, dst, protocol=protocol, payload=payload, hop_limit=ttl, extensions=extensions
        )
    return _patched(packet, *dice.pick(_PATCHES[src.version])) if style == "wrong" else packet


def _headed(dice: Dice, src: Address, dst: Address, protocol: int, payload: bytes) -> bytes:
    """A packet that certainly has something between its fixed header and its payload."""
    if src.version == 4:
        options = dice.pick(_OPTIONS)
        return build.ipv4(src, dst, protocol=protocol, payload=payload, options=options)
    extensions = _chain(dice, 1 + dice.below(3))
    return build.ipv6(src, dst, protocol=protocol, payload=payload, extensions=extensions)


def _chain(dice: Dice, length: int) -> list[build.Extension]:
    return [dice.pick(_EXTENSIONS) for _ in range(length)]


def _patched(packet: bytes, at: int, new: bytes) -> bytes:
    return packet[:at] + new + packet[at + len(new) :]


# --- what may happen to a frame on the way


def _whole(_: Dice, frame: bytes) -> bytes:
    return frame


def _cut(dice: Dice, frame: bytes) -> bytes:
    return frame[: 14 + dice.below(min(len(frame) - 13, 120))]


def _flip(dice: Dice, frame: bytes) -> bytes:
    at = dice.below(min(len(frame), 160))
    return _patched(frame, at, bytes([frame[at] ^ (dice.number(1) or 1)]))


def _pad(dice: Dice, frame: bytes) -> bytes:
    return frame + bytes([0xEE]) * (1 + dice.below(60))


def _noise(dice: Dice, frame: bytes) -> bytes:
    """A beginning of the frame, and then anything."""
    kept = frame[: dice.below(60)]
    return (kept + dice.number(24).to_bytes(24, "big")[: dice.below(25)]).ljust(14, b"\0")


_DAMAGES: Final[Sequence[Callable[[Dice, bytes], bytes]]] = shares(
    (22, [_whole]), (4, [_cut]), (2, [_flip]), (2, [_pad]), (1, [_noise])
)
