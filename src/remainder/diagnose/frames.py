"""What a diagnosis sends, and what it understands: ARP, neighbour discovery, pings.

Pure.  Sources: RFC 826 and 5227 (ARP), RFC 4861 (neighbour discovery), RFC 792 and
4443 (ICMP).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from remainder.flow import ICMP, ICMPV6, Address, Flow
from remainder.reference.frame import frame_of, internet_checksum

_BROADCAST: Final = b"\xff" * 6
_ARP: Final = bytes.fromhex("0806 0001 0800 06 04")
_REQUEST, _REPLY = 1, 2
_SOLICITATION, _ADVERTISEMENT = 135, 136
_ECHO_REPLY: Final = {4: 0, 6: 129}
_TIME_EXCEEDED: Final = {4: 11, 6: 3}
_PROTOCOL: Final = {4: ICMP, 6: ICMPV6}


@dataclass(frozen=True, slots=True)
class Told:
    """Somebody says that an address is at a MAC."""

    address: Address
    mac: bytes


@dataclass(frozen=True, slots=True)
class Wondered:
    """Somebody, at a MAC, asks who has an address."""

    address: Address
    mac: bytes


@dataclass(frozen=True, slots=True)
class Ponged:
    """An address answers a ping, from a MAC."""

    address: Address
    mac: bytes
    identifier: int


@dataclass(frozen=True, slots=True)
class Expired:
    """Somebody, at a MAC, would have forwarded our ping of an address."""

    address: Address
    mac: bytes
    identifier: int


Understood = Told | Wondered | Ponged | Expired


def who_has(target: Address, *, mac: bytes, own: Address | None) -> bytes:
    """Ask a segment for an address; for IPv4 without an own one as RFC 5227 probes."""
    if target.version == 4:
        sender = own.packed if own is not None else bytes(4)
        body = _ARP + struct.pack("!H", _REQUEST) + mac + sender + bytes(6) + target.packed
        return (_BROADCAST + mac + body).ljust(60, b"\0")
    if own is None:
        raise ValueError("a solicitation needs an address of our own")
    group = bytes.fromhex("ff02 0000 0000 0000 0000 0001 ff") + target.packed[13:]
    message = struct.pack("!BBHI", _SOLICITATION, 0, 0, 0) + target.packed + b"\x01\x01" + mac
    pseudo = own.packed + group + struct.pack("!II", len(message), ICMPV6)
    checksum = struct.pack("!H", internet_checksum(pseudo + message))
    message = message[:2] + checksum + message[4:]
    header = struct.pack("!IHBB", 6 << 28, len(message), ICMPV6, 255) + own.packed + group
    return b"\x33\x33" + group[12:] + mac + b"\x86\xdd" + header + message


def ping(vip: Address, *, source: Address, identifier: int, mac: bytes, server_mac: bytes) -> bytes:
    """An echo request that only the machine with that MAC can answer.

    Its TTL (hop limit) is 1: a machine without the VIP that forwards packets must say so
    instead of sending it on, perhaps back to our own program, which answers pings too.
    """
    flow = Flow(source, identifier, vip, 0, _PROTOCOL[vip.version])
    return _with_one_hop(frame_of(flow, source_mac=mac, destination_mac=server_mac))


def _with_one_hop(frame: bytes) -> bytes:
    """Whoever gets it must not send it on."""
    if frame[12:14] == b"\x86\xdd":
        return frame[:21] + b"\1" + frame[22:]
    header = frame[14:22] + b"\1" + frame[23:24] + b"\0\0" + frame[26:34]
    checksum = struct.pack("!H", internet_checksum(header))
    return frame[:14] + header[:10] + checksum + header[12:] + frame[34:]


def understood(frame: bytes) -> Understood | None:
    """What a frame says; None if it is nothing that we ask for."""
    kind = frame[12:14]
    if kind == b"\x08\x06":
        return _arp(frame)
    if kind == b"\x08\x00" and len(frame) >= 42:
        return _icmp(frame)
    if kind == b"\x86\xdd" and len(frame) >= 62 and frame[20] == ICMPV6:
        return _icmpv6(frame)
    return None


def _arp(frame: bytes) -> Understood | None:
    if len(frame) < 42 or frame[12:20] != _ARP:
        return None
    operation = int.from_bytes(frame[20:22], "big")
    sender, target = IPv4Address(frame[28:32]), IPv4Address(frame[38:42])
    if operation == _REPLY:
        return Told(sender, frame[22:28])
    return Wondered(target, frame[6:12]) if operation == _REQUEST else None


def _icmp(frame: bytes) -> Understood | None:
    at = 14 + 4 * (frame[14] & 0x0F)
    if frame[23] != ICMP or len(frame) < at + 8:
        return None
    source, mac, message = IPv4Address(frame[26:30]), frame[6:12], frame[at:]
    if message[0] == _ECHO_REPLY[4]:
        return Ponged(source, mac, int.from_bytes(message[4:6], "big"))
    quoted = message[8:]
    if message[0] != _TIME_EXCEEDED[4] or len(quoted) < 28 or quoted[9] != ICMP:
        return None
    inner = quoted[4 * (quoted[0] & 0x0F) :]
    return Expired(IPv4Address(quoted[16:20]), mac, int.from_bytes(inner[4:6], "big"))


def _icmpv6(frame: bytes) -> Understood | None:
    source, mac, message = IPv6Address(frame[22:38]), frame[6:12], frame[54:]
    if message[0] == _ADVERTISEMENT and len(message) >= 24:
        return Told(IPv6Address(message[8:24]), _link_layer(message[24:]) or mac)
    if message[0] == _SOLICITATION and len(message) >= 24:
        return Wondered(IPv6Address(message[8:24]), mac)
    if message[0] == _ECHO_REPLY[6]:
        return Ponged(source, mac, int.from_bytes(message[4:6], "big"))
    quoted = message[8:]
    if message[0] != _TIME_EXCEEDED[6] or len(quoted) < 48 or quoted[6] != ICMPV6:
        return None
    return Expired(IPv6Address(quoted[24:40]), mac, int.from_bytes(quoted[44:46], "big"))


def _link_layer(options: bytes) -> bytes | None:
    """The target's MAC of an advertisement, if it is told first, as everybody does."""
    return options[2:8] if options[:2] == b"\x02\x01" and len(options) >= 8 else None
