"""Frames out of bytes: every header as its RFC draws it, and as wrong as a test wants it.

Rule: knows the wire, not Remainder's readers; right lengths and checksums unless told otherwise.
Checksums of TCP and UDP are left 0: nothing here reads them.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from remainder.flow import ICMP, ICMPV6, WITH_PORTS, Address, Flow

BALANCER = bytes.fromhex("020000000001")
ROUTER = bytes.fromhex("020000000002")

IPV4 = 0x0800
IPV6 = 0x86DD
ETHERTYPE = {4: IPV4, 6: IPV6}
ARP = 0x0806
VLAN = 0x8100
SERVICE_VLAN = 0x88A8

TCP, UDP, GRE, NO_NEXT_HEADER = 6, 17, 47, 59
HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION_OPTIONS = 0, 43, 44, 51, 60
EXTENSION_HEADERS = (HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION_OPTIONS)
ICMP_OF = {4: ICMP, 6: ICMPV6}
ECHO_REQUEST = {4: 8, 6: 128}
ECHO_REPLY = {4: 0, 6: 129}


def mac(number: int) -> bytes:
    """A locally administered MAC address."""
    return b"\x02\x00" + number.to_bytes(4, "big")


def checksum(data: bytes) -> int:
    """The Internet checksum, from scratch (RFC 1071)."""
    padded = data + bytes(len(data) % 2)
    total = sum(padded[0::2]) * 0x100 + sum(padded[1::2])
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def ethernet(
    dst: bytes,
    src: bytes,
    *,
    ethertype: int,
    payload: bytes = b"",
    vlans: Sequence[tuple[int, int]] = (),
) -> bytes:
    """A frame; ``vlans`` are (EtherType, VLAN id) from the outside in."""
    tags = b"".join(struct.pack("!HH", kind, tag) for kind, tag in vlans)
    return dst + src + tags + struct.pack("!H", ethertype) + payload


def to_balancer(
    packet: bytes, *, vlans: Sequence[tuple[int, int]] = (), ethertype: int | None = None
) -> bytes:
    """An IP packet in a frame from the router to the balancer; the EtherType is the packet's."""
    if ethertype is None:
        ethertype = IPV6 if packet[0] >> 4 == 6 else IPV4
    return ethernet(BALANCER, ROUTER, ethertype=ethertype, payload=packet, vlans=vlans)


def onward(frame: bytes) -> bytes:
    """What a forwarding leaves of a frame behind its MAC addresses: one TTL less, as routers do it.

    The IPv4 header checksum is that of ``ip_decrease_ttl`` in Linux: right stays right, and wrong
    stays as wrong.
    """
    at = 14
    while frame[at - 2 : at] in (b"\x81\x00", b"\x88\xa8"):
        at += 4
    packet = bytearray(frame[at:])
    if packet[0] >> 4 == 6:
        packet[7] -= 1
    else:
        packet[8] -= 1
        total = int.from_bytes(packet[10:12], "big") + 0x0100
        packet[10:12] = (total + (total >= 0xFFFF) & 0xFFFF).to_bytes(2, "big")
    return frame[12:at] + bytes(packet)


def ipv4(
    src: Address,
    dst: Address,
    *,
    protocol: int,
    payload: bytes = b"",
    options: bytes = b"",
    fragment: tuple[int, bool] = (0, False),
    ttl: int = 61,
    version: int = 4,
    header_words: int | None = None,
    total_bytes: int | None = None,
    header_checksum: int | None = None,
) -> bytes:
    """RFC 791; ``fragment`` is (offset in units of 8 bytes, more fragments)."""
    padded = options + bytes(-len(options) % 4)
    words = 5 + len(padded) // 4 if header_words is None else header_words
    total = 20 + len(padded) + len(payload) if total_bytes is None else total_bytes
    offset, more = fragment
    flags = offset | (0x2000 if more else 0) | (0 if offset or more else 0x4000)
    start = struct.pack("!BBHHHBB", version << 4 | words, 0, total, 0x1D0F, flags, ttl, protocol)
    rest = src.packed + dst.packed + padded
    if header_checksum is None:
        header_checksum = checksum(start + rest)
    return start + struct.pack("!H", header_checksum) + rest + payload


@dataclass(frozen=True)
class Extension:
    """An IPv6 extension header: its number, and its bytes behind the first, "next header"."""

    number: int
    rest: bytes


def extension(number: int, *, units: int = 0, body: bytes | None = None) -> Extension:
    """A header of ``(units + 1) * 8`` bytes; for AUTHENTICATION ``(units + 2) * 4``."""
    size = (units + 2) * 4 if number == AUTHENTICATION else (units + 1) * 8
    return Extension(number, bytes([units]) + (bytes(size - 2) if body is None else body))


def fragment_header(offset: int, *, more: bool, identification: int = 0x2E51) -> Extension:
    """RFC 8200, section 4.5; ``offset`` in units of 8 bytes."""
    return Extension(FRAGMENT, struct.pack("!BHI", 0, offset << 3 | more, identification))


def ipv6(
    src: Address,
    dst: Address,
    *,
    protocol: int,
    payload: bytes = b"",
    extensions: Sequence[Extension] = (),
    hop_limit: int = 61,
    version: int = 6,
    payload_bytes: int | None = None,
) -> bytes:
    """RFC 8200; ``protocol`` is that behind the extension headers."""
    numbers = [*(header.number for header in extensions), protocol]
    headers = b"".join(
        bytes([following]) + header.rest
        for header, following in zip(extensions, numbers[1:], strict=True)
    )
    size = len(headers) + len(payload) if payload_bytes is None else payload_bytes
    start = struct.pack("!IHBB", version << 28 | 0xABCDE, size, numbers[0], hop_limit)
    return start + src.packed + dst.packed + headers + payload


def ip(src: Address, dst: Address, *, protocol: int, payload: bytes = b"", ttl: int = 61) -> bytes:
    """A plain packet of the addresses' family."""
    if src.version == 4:
        return ipv4(src, dst, protocol=protocol, payload=payload, ttl=ttl)
    return ipv6(src, dst, protocol=protocol, payload=payload, hop_limit=ttl)


def tcp(src_port: int, dst_port: int, payload: bytes = b"") -> bytes:
    """RFC 9293: a segment with ACK set."""
    return struct.pack("!HHIIBBHHH", src_port, dst_port, 1, 1, 0x50, 0x10, 512, 0, 0) + payload


def udp(src_port: int, dst_port: int, payload: bytes = b"") -> bytes:
    """RFC 768."""
    return struct.pack("!HHHH", src_port, dst_port, 8 + len(payload), 0) + payload


def transport(protocol: int, src_port: int, dst_port: int, payload: bytes = b"") -> bytes:
    """The header of a protocol as far as the balancer looks at it: TCP, UDP, ports, or nothing."""
    if protocol == TCP:
        return tcp(src_port, dst_port, payload)
    if protocol == UDP:
        return udp(src_port, dst_port, payload)
    if protocol in WITH_PORTS:
        return struct.pack("!HHII", src_port, dst_port, 0x5EED, 0) + payload
    return payload


def icmp(
    src: Address,
    dst: Address,
    kind: int,
    *,
    code: int = 0,
    rest: bytes = bytes(4),
    payload: bytes = b"",
) -> bytes:
    """ICMP or ICMPv6 by the addresses (RFC 792, RFC 4443); ``rest`` are bytes 4 to 7."""
    body = rest + payload
    covered = bytes([kind, code, 0, 0]) + body
    if src.version == 6:
        covered = src.packed + dst.packed + struct.pack("!II", len(covered), ICMPV6) + covered
    return struct.pack("!BBH", kind, code, checksum(covered)) + body


def echo(
    src: Address,
    dst: Address,
    *,
    kind: int | None = None,
    code: int = 0,
    identifier: int = 0x1234,
    payload: bytes = b"",
) -> bytes:
    """An echo message; a request unless ``kind`` says otherwise."""
    kind = ECHO_REQUEST[src.version] if kind is None else kind
    rest = struct.pack("!HH", identifier, 7)
    return icmp(src, dst, kind, code=code, rest=rest, payload=payload)


def ip_icmp(src: Address, dst: Address, message: bytes) -> bytes:
    """An ICMP message in a plain packet."""
    return ip(src, dst, protocol=ICMP_OF[src.version], payload=message)


def packet_of(flow: Flow, payload: bytes = b"") -> bytes:
    """A whole, plain packet of a flow; of ICMP an echo request with the flow's identifier."""
    if flow.protocol == ICMP_OF[flow.version]:
        inner = echo(flow.src_ip, flow.dst_ip, identifier=flow.src_port, payload=payload)
    else:
        inner = transport(flow.protocol, flow.src_port, flow.dst_port, payload)
    return ip(flow.src_ip, flow.dst_ip, protocol=flow.protocol, payload=inner)


def frame_of(flow: Flow, payload: bytes = b"") -> bytes:
    """``packet_of`` from the router to the balancer."""
    return to_balancer(packet_of(flow, payload))
