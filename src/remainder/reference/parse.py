"""From the bytes of a frame to its flow: sections 1 to 5 of docs/packets.md.

Claims: 6-12 (data associated with the packet).
Twin: bpf/parse.h; they share no code, only the page.
Rule: needs no plan.  What needs one is in model.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from remainder.flow import EXTENSION_HEADERS, ICMP, ICMPV6, WITH_PORTS, Address, Flow
from remainder.outcome import Outcome

ETHERNET_BYTES: Final = 14
VLAN_TYPE: Final = 0x8100
SERVICE_VLAN_TYPE: Final = 0x88A8
VLAN_TAG_BYTES: Final = 4
IP_VERSIONS: Final[Mapping[int, int]] = {0x0800: 4, 0x86DD: 6}
"""EtherType → IP version."""

IPV4, IPV6 = 4, 6
IP_BYTES: Final[Mapping[int, int]] = {IPV4: 20, IPV6: 40}
"""IP version → size of the header without options or extension headers."""

JUMBO_BYTES: Final[Mapping[int, int]] = {
    IPV4: ETHERNET_BYTES + 0xFFFF,
    IPV6: ETHERNET_BYTES + IP_BYTES[IPV6] + 0xFFFF,
}
"""A larger frame has a length that its field cannot say: 0 stands for it (RFC 2675)."""

FRAGMENT: Final = 44
AUTHENTICATION: Final = 51
EXTENSION_HEADERS_MAX: Final = 4
EXTENSION_HEADER_BYTES_MIN: Final = 8

PORTS_BYTES: Final = 4
ICMP_BYTES: Final = 8
ICMP_OF: Final[Mapping[int, int]] = {IPV4: ICMP, IPV6: ICMPV6}
"""IP version → the protocol number of its ICMP."""

ICMP_ERRORS: Final[Mapping[int, frozenset[int]]] = {
    IPV4: frozenset({3, 11, 12}),
    IPV6: frozenset({1, 2, 3, 4}),
}
ECHO_REQUEST: Final[Mapping[int, int]] = {IPV4: 8, IPV6: 128}
ECHO_REPLY: Final[Mapping[int, int]] = {IPV4: 0, IPV6: 129}


class DecidedError(Exception):
    """The outcome is known; nothing further is asked."""

    def __init__(
        self, outcome: Outcome, *, choice: str | None = None, owner: str | None = None
    ) -> None:
        self.outcome, self.choice, self.owner = outcome, choice, owner
        super().__init__(outcome)


@dataclass(frozen=True, slots=True)
class Ip:
    """An IP header that has been read; places are offsets into the frame."""

    version: int
    source: Address
    destination: Address
    protocol: int
    """of the header at ``payload_at``; for a fragment, from its fragment header"""
    is_fragment: bool
    at: int
    payload_at: int
    end: int


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet, and what it is about: its own session, or the one that it quotes."""

    ip: Ip
    flow: Flow | None
    """None for an error that quotes a packet its destination did not send"""
    is_error: bool
    is_fragment: bool
    """of an error: whether the quoted packet is one"""


def ethernet(frame: bytes, vlan: int | None = None) -> tuple[int, int]:
    """Section 1, steps 1, 3 and 4: the IP version, and where the IP header starts.

    ``vlan`` is the ID of the tag that frames must have; None: they must have none.
    """
    at = ETHERNET_BYTES
    _must_fit(at, len(frame))
    tag_id = 0
    if word(frame, at - 2) == VLAN_TYPE:
        _must_fit(at + VLAN_TAG_BYTES, len(frame))
        tag_id = word(frame, at) & 0x0FFF
        at += VLAN_TAG_BYTES
    if tag_id != (vlan or 0) or word(frame, at - 2) in (VLAN_TYPE, SERVICE_VLAN_TYPE):
        raise DecidedError(Outcome.OTHER_VLAN)
    version = IP_VERSIONS.get(word(frame, at - 2))
    if version is None:
        raise DecidedError(Outcome.NOT_IP)
    return version, at


def packet(frame: bytes, version: int, ip_at: int) -> Packet:
    """Sections 2 to 5: what is behind the Ethernet header."""
    ip = _ip(frame, version, ip_at, len(frame), quoted=False)
    ip = _behind_extension_headers(frame, ip, quoted=False)
    source_port, destination_port = _ports(frame, ip)
    if _is_icmp(ip) and frame[ip.payload_at] in ICMP_ERRORS[version]:
        return _error(frame, ip)
    flow = Flow(ip.source, source_port, ip.destination, destination_port, ip.protocol)
    return Packet(ip, flow, is_error=False, is_fragment=ip.is_fragment)


def word(frame: bytes | bytearray, at: int) -> int:
    """The 16-bit number at an offset, in network byte order."""
    return int.from_bytes(frame[at : at + 2], "big")


def _must_fit(until: int, end: int) -> None:
    if until > end:
        raise DecidedError(Outcome.MALFORMED)


def _ip(frame: bytes, version: int, at: int, end: int, *, quoted: bool) -> Ip:
    """The header that every IP packet has; ``end`` is that of whatever the packet lies in."""
    _must_fit(at + IP_BYTES[version], end)
    if frame[at] >> 4 != version:
        raise DecidedError(Outcome.MALFORMED)
    read = _ipv4 if version == IPV4 else _ipv6
    return read(frame, at, end, quoted=quoted)


def _ipv4(frame: bytes, at: int, end: int, *, quoted: bool) -> Ip:
    """Section 2; a quoted packet is read with the differences of section 5, step 1."""
    payload_at = at + (frame[at] & 0x0F) * 4
    _must_fit(at + IP_BYTES[IPV4], payload_at)
    _must_fit(payload_at, end)
    total_bytes = word(frame, at + 2)
    is_jumbo = not total_bytes and len(frame) > JUMBO_BYTES[IPV4]
    if not quoted and not is_jumbo:
        packet_end = at + total_bytes
        _must_fit(payload_at, packet_end)
        end = min(end, packet_end)
    offset = word(frame, at + 6) & 0x1FFF
    more_fragments = word(frame, at + 6) & 0x2000
    return Ip(
        version=IPV4,
        source=IPv4Address(frame[at + 12 : at + 16]),
        destination=IPv4Address(frame[at + 16 : at + 20]),
        protocol=frame[at + 9],
        is_fragment=bool(offset or (more_fragments and not quoted)),
        at=at,
        payload_at=payload_at,
        end=end,
    )


def _ipv6(frame: bytes, at: int, end: int, *, quoted: bool) -> Ip:
    """Section 3, steps 1 and 2, with the same differences."""
    payload_at = at + IP_BYTES[IPV6]
    payload_bytes = word(frame, at + 4)
    is_jumbo = not payload_bytes and len(frame) > JUMBO_BYTES[IPV6]
    if not quoted and not is_jumbo:
        end = min(end, payload_at + payload_bytes)
    return Ip(
        version=IPV6,
        source=IPv6Address(frame[at + 8 : at + 24]),
        destination=IPv6Address(frame[at + 24 : at + 40]),
        protocol=frame[at + 6],
        is_fragment=False,
        at=at,
        payload_at=payload_at,
        end=end,
    )


def _behind_extension_headers(frame: bytes, ip: Ip, *, quoted: bool) -> Ip:
    """Section 3, steps 3 to 6, with the same differences; IPv4 has no extension headers."""
    if ip.version == IPV4:
        return ip
    protocol, at, opened = ip.protocol, ip.payload_at, 0
    while protocol in EXTENSION_HEADERS:
        if opened == EXTENSION_HEADERS_MAX:
            raise DecidedError(Outcome.TOO_MANY_HEADERS)
        opened += 1
        _must_fit(at + EXTENSION_HEADER_BYTES_MIN, ip.end)
        next_header, length = frame[at], frame[at + 1]
        if protocol == FRAGMENT:
            offset, more_fragments = word(frame, at + 2) & 0xFFF8, word(frame, at + 2) & 1
            if offset or (more_fragments and not quoted):
                return replace(ip, protocol=next_header, is_fragment=True, payload_at=at + 8)
            at += 8
        elif protocol == AUTHENTICATION:
            at += (length + 2) * 4
        else:
            at += (length + 1) * 8
        _must_fit(at, ip.end)
        protocol = next_header
    return replace(ip, protocol=protocol, payload_at=at)


def _ports(frame: bytes, ip: Ip) -> tuple[int, int]:
    """Section 4: source and destination port; the identifier of an echo is the source port."""
    at = ip.payload_at
    if ip.is_fragment:
        return 0, 0
    if ip.protocol in WITH_PORTS:
        _must_fit(at + PORTS_BYTES, ip.end)
        return word(frame, at), word(frame, at + 2)
    if _is_icmp(ip):
        _must_fit(at + ICMP_BYTES, ip.end)
        if frame[at] in (ECHO_REQUEST[ip.version], ECHO_REPLY[ip.version]):
            return word(frame, at + 4), 0
    return 0, 0


def _is_icmp(ip: Ip) -> bool:
    """Whether an ICMP header follows, of the family's own ICMP."""
    return not ip.is_fragment and ip.protocol == ICMP_OF[ip.version]


def _error(frame: bytes, ip: Ip) -> Packet:
    """Section 5: the session that the ICMP error behind ``ip`` quotes, sides swapped."""
    quoted = _ip(frame, ip.version, ip.payload_at + ICMP_BYTES, ip.end, quoted=True)
    if quoted.source != ip.destination:
        return Packet(ip, None, is_error=True, is_fragment=False)
    quoted = _behind_extension_headers(frame, quoted, quoted=True)
    source_port, destination_port = _ports(frame, quoted)
    if quoted.protocol in WITH_PORTS:
        source_port, destination_port = destination_port, source_port
    flow = Flow(quoted.destination, source_port, quoted.source, destination_port, quoted.protocol)
    return Packet(ip, flow, is_error=True, is_fragment=quoted.is_fragment)
