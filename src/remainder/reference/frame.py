"""A whole Ethernet frame for a flow, as plain as can be: to ask programs and servers.

Pure; checksums are right, so that a server accepts it.  Ports stand where the
protocol has them; ICMP becomes an echo request whose identifier is the
source port (docs/packets.md, section 4).
"""

from __future__ import annotations

import struct

from remainder.flow import ICMP, ICMPV6, WITH_PORTS, Flow, mac_of

TCP = 6
UDP = 17
_ETHERTYPE = {4: 0x0800, 6: 0x86DD}
_CHECKSUM_AT = {
    (4, TCP): 16, (6, TCP): 16, (4, UDP): 6, (6, UDP): 6, (4, ICMP): 2, (6, ICMPV6): 2,
}  # fmt: skip
"""(IP version, protocol) → where its checksum stands."""


def frame_of(flow: Flow, *, source_mac: bytes | str, destination_mac: bytes | str) -> bytes:
    """A frame of at least 60 bytes that carries this flow."""
    payload = _with_checksum(flow, _payload(flow))
    if flow.version == 4:
        header = struct.pack(
            "!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0, 0, 64, flow.protocol, 0,
            flow.src_ip.packed, flow.dst_ip.packed,
        )  # fmt: skip
        header = header[:10] + struct.pack("!H", internet_checksum(header)) + header[12:]
    else:
        header = struct.pack(
            "!IHBB16s16s", 6 << 28, len(payload), flow.protocol, 64,
            flow.src_ip.packed, flow.dst_ip.packed,
        )  # fmt: skip
    frame = (
        mac_of(destination_mac) + mac_of(source_mac) + struct.pack("!H", _ETHERTYPE[flow.version])
    )
    return (frame + header + payload).ljust(60, b"\0")


def internet_checksum(data: bytes) -> int:
    """RFC 1071, over data whose checksum field is zero."""
    padded = data + b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _with_checksum(flow: Flow, payload: bytes) -> bytes:
    at = _CHECKSUM_AT.get((flow.version, flow.protocol))
    if at is None:
        return payload
    pseudo = b""
    if flow.protocol != ICMP:  # of IPv4: the one that covers no addresses
        pseudo = (
            flow.src_ip.packed
            + flow.dst_ip.packed
            + struct.pack("!II", len(payload), flow.protocol)
        )
    checksum = internet_checksum(pseudo + payload)
    return payload[:at] + struct.pack("!H", checksum) + payload[at + 2 :]


def _payload(flow: Flow) -> bytes:
    ports = struct.pack("!HH", flow.src_port, flow.dst_port)
    if flow.protocol == TCP:
        return ports + struct.pack("!IIHHHH", 0, 0, 0x5002, 0xFFFF, 0, 0)
    if flow.protocol in WITH_PORTS:
        return ports + struct.pack("!HH", 16, 0) + bytes(8)
    if flow.protocol == (ICMP if flow.version == 4 else ICMPV6):
        echo_request = 8 if flow.version == 4 else 128
        return struct.pack("!BBHHH", echo_request, 0, 0, flow.src_port, 1)
    return bytes(16)
