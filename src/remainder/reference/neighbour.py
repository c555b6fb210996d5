"""Who asks for a shared address, and what the answer looks like: docs/packets.md, section 10.

Sources: RFC 826 (ARP); RFC 4861, sections 4.3, 4.4 and 7.2.4; RFC 1071.
Twin: bpf/neighbour.h.
"""

from __future__ import annotations

import struct
from collections.abc import Collection
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from remainder.flow import Address
from remainder.reference.frame import internet_checksum

_ARP_REQUEST: Final = bytes.fromhex("0806 0001 0800 06 04 0001")
_ARP_REPLY: Final = bytes.fromhex("0806 0001 0800 06 04 0002")
_SOLICITED_OVERRIDE: Final = bytes.fromhex("60000000")
_ADVERTISEMENT_BYTES: Final = 32


def told_neighbour(
    frame: bytes,
    *,
    mac: bytes,
    cluster_mac: bytes,
    shared: Collection[Address],
    vlan: int | None = None,
) -> bytes | None:
    """The answer to a frame that asks for one of the shared addresses; None if it does not.

    A tag must be that of the VLAN (with ID 0: of none), and comes back with the answer.
    """
    tag = frame[12:16] if frame[12:14] == b"\x81\x00" else b""
    if int.from_bytes(tag[2:], "big") & 0x0FFF != (vlan or 0):
        return None
    bare = frame[:12] + frame[12 + len(tag) :]
    answer = _arp(bare, cluster_mac, shared) or _advertisement(bare, cluster_mac, shared)
    return frame[6:12] + mac + tag + answer if answer else None


def _arp(frame: bytes, cluster_mac: bytes, shared: Collection[Address]) -> bytes | None:
    if len(frame) < 42 or frame[12:22] != _ARP_REQUEST:
        return None
    sender, target = frame[22:32], frame[38:42]
    if IPv4Address(target) not in shared:
        return None
    return _ARP_REPLY + cluster_mac + target + sender + frame[42:]


def _advertisement(frame: bytes, cluster_mac: bytes, shared: Collection[Address]) -> bytes | None:
    if len(frame) < 86 or frame[12:14] != b"\x86\xdd":
        return None
    if frame[:2] != b"\x33\x33" and frame[:6] != cluster_mac:
        return None
    ip, message = frame[14:54], frame[54:86]
    payload, next_header, hop_limit = struct.unpack("!HBB", ip[4:8])
    if (ip[0] >> 4, payload, next_header, hop_limit) != (6, _ADVERTISEMENT_BYTES, 58, 255):
        return None
    if message[:2] != b"\x87\x00" or message[24:26] != b"\x01\x01":
        return None
    asker, target = ip[8:24], message[8:24]
    if not any(asker[:8]) or IPv6Address(target) not in shared:
        return None
    answer = b"\x88\x00\x00\x00" + _SOLICITED_OVERRIDE + target + b"\x02\x01" + cluster_mac
    pseudo = target + asker + struct.pack("!II", _ADVERTISEMENT_BYTES, 58)
    checksum = internet_checksum(pseudo + answer)
    answer = answer[:2] + struct.pack("!H", checksum) + answer[4:]
    return frame[12:22] + target + asker + answer + frame[86:]
