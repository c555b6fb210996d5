"""Tell a segment where a VIP is: gratuitous ARP, unsolicited neighbour advertisements.

RFC 5227, section 3 (ARP announcements and probes); RFC 4861, sections 4.3, 4.4
and 7.2.6; RFC 4862, section 5.4.2 (a solicitation without a source).
"""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from remainder.errors import HostError
from remainder.flow import Address
from remainder.reference.frame import internet_checksum

ANSWER_S: Final = 0.3
"""How long another balancer has to say that it holds a VIP, too."""

_ARP: Final = 0x0806
_IPV6: Final = 0x86DD
_EVERYBODY: Final = b"\xff" * 6
_ALL_NODES: Final = IPv6Address("ff02::1")
_REQUEST: Final = 1
_REPLY: Final = 2
_SOLICITATION: Final = 135
_ADVERTISEMENT: Final = 136
_OVERRIDE: Final = 0x2000_0000
_TARGET_MAC: Final = b"\x02\x01"  # option 2, one unit of 8 bytes
_ARP_BYTES: Final = 42
_GROUP_BIT: Final = 1  # of the first byte of a MAC address


def announcement(vip: Address, mac: bytes, *, sender: bytes | None = None) -> bytes:
    """The frame that says ``vip`` is at ``mac``; ``sender`` is whose interface sends it."""
    sender = sender or mac
    if vip.version == 4:
        return _arp(sender, mac, vip, vip)
    said = struct.pack("!BBHI", _ADVERTISEMENT, 0, 0, _OVERRIDE) + vip.packed + _TARGET_MAC + mac
    return _discovery(sender, vip, _ALL_NODES, said)


def probe(vip: Address, mac: bytes) -> bytes:
    """The frame that asks who else holds a VIP, and that nobody learns anything from."""
    if vip.version == 4:
        return _arp(mac, mac, IPv4Address(0), vip)
    group = IPv6Address(int(IPv6Address("ff02::1:ff00:0")) | int(vip) & 0xFF_FFFF)
    said = struct.pack("!BBHI", _SOLICITATION, 0, 0, 0) + vip.packed
    return _discovery(mac, IPv6Address(0), group, said)


def _arp(sender: bytes, mac: bytes, source: Address, target: Address) -> bytes:
    ethernet = _EVERYBODY + sender + struct.pack("!H", _ARP)
    head = struct.pack("!HHBBH", 1, 0x0800, 6, 4, _REQUEST)
    return ethernet + head + mac + source.packed + bytes(6) + target.packed


def _discovery(sender: bytes, source: Address, destination: IPv6Address, said: bytes) -> bytes:
    pseudo = source.packed + destination.packed + struct.pack("!II", len(said), 58)
    body = said[:2] + struct.pack("!H", internet_checksum(pseudo + said)) + said[4:]
    group_mac = b"\x33\x33" + destination.packed[12:]
    ip = struct.pack("!IHBB", 6 << 28, len(body), 58, 255) + source.packed + destination.packed
    return group_mac + sender + struct.pack("!H", _IPV6) + ip + body


def announce(index: int, mac: bytes, vips: Collection[Address]) -> None:
    """Say that these VIPs are at ``mac``.  Raises HostError if frames cannot be sent."""
    with _packets(index) as packets:
        for vip in vips:
            packets.send(announcement(vip, mac))


def hand_over(
    index: int, mac: bytes, vips: Collection[Address], servers: Collection[bytes]
) -> frozenset[Address]:
    """Ask who else holds VIPs that are no longer ours, and tell everybody; those that have one.

    Another balancer's answer to an IPv4 probe comes to us alone, so we pass it on.
    To a solicitation without a source it answers everybody by itself.  ``servers`` are
    the MAC addresses of those that should not answer for a VIP, and sometimes do.
    """
    handed: set[Address] = set()
    with _packets(index) as packets:
        for vip in vips:
            packets.send(probe(vip, mac))
        deadline_s = time.monotonic() + ANSWER_S
        while handed != set(vips) and (left_s := deadline_s - time.monotonic()) > 0:
            if not select.select([packets], [], [], left_s)[0]:
                break
            found = _held(packets.recv(2048))
            if found is None or found[0] not in vips or found[1] in (mac, *servers):
                continue
            vip, at = found
            if vip.version == 4:
                packets.send(announcement(vip, at, sender=mac))
            handed.add(vip)
    return frozenset(handed)


def _held(frame: bytes) -> tuple[Address, bytes] | None:
    """(address, MAC) that an ARP reply or a neighbour advertisement names; one can send to it."""
    found = _named(frame)
    return None if found is None or found[1][0] & _GROUP_BIT or not any(found[1]) else found


def _named(frame: bytes) -> tuple[Address, bytes] | None:
    kind = int.from_bytes(frame[12:14], "big")
    if kind == _ARP and len(frame) >= _ARP_BYTES and frame[20:22] == _REPLY.to_bytes(2, "big"):
        return IPv4Address(frame[28:32]), frame[22:28]
    if kind == _IPV6 and len(frame) >= 86 and frame[20] == 58 and frame[54] == _ADVERTISEMENT:
        option = frame[78:86]
        if option.startswith(_TARGET_MAC):
            return IPv6Address(frame[62:78]), option[2:]
    return None


@contextmanager
def _packets(index: int) -> Iterator[socket.socket]:
    try:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as packets:
            packets.bind((socket.if_indextoname(index), 0))
            yield packets
    except OSError as error:
        raise HostError(
            f"announcing VIPs: {error.strerror}; neighbours learn where they are when they ask "
            f"again"
        ) from None
