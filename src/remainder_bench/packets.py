"""The packets that are timed, and where the next flow is written into them.

Pure.  Clients are 198.18.0.0/16 (RFC 2544: for benchmarks), in memory only.
Checksums of TCP and UDP go stale as flows change; no balancer looks at them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Final

from remainder.errors import ConfigError
from remainder.flow import ICMP, ICMPV6, WITH_PORTS, Address, Flow
from remainder.kernel.oracle import CLIENT_MAC, OWN_MAC
from remainder.reference.frame import frame_of, internet_checksum
from remainder_bench.stopwatch import FRAME_BYTES, Template

CLIENT: Final[Mapping[int, Address]] = {
    4: ip_address("198.18.0.0"),
    6: ip_address("2001:db8:18::"),
}
"""IP version → the first client."""

ROUTER: Final[Mapping[int, Address]] = {
    4: ip_address("192.0.2.254"),
    6: ip_address("2001:db8:2::fe"),
}
"""Who sends the ICMP errors."""

STRANGER: Final[Mapping[int, Address]] = {
    4: ip_address("198.19.255.255"),
    6: ip_address("2001:db8:ffff::ffff"),
}
"""Nobody's VIP."""

_ETHERNET: Final = 14
_TAG: Final = 4
_ICMP_HEADER: Final = 8
_TAGGED: Final = (0x8100, 0x88A8)
_VERSION: Final = {0x0800: 4, 0x86DD: 6}
_TCP_FLAGS_AT: Final = 13
_ACK: Final = 0x10


def plain(flow: Flow) -> bytes:
    """One frame of a flow: of TCP a SYN."""
    return frame_of(flow, source_mac=CLIENT_MAC, destination_mac=OWN_MAC)


def ack(flow: Flow) -> bytes:
    """Of TCP an ACK, as most packets are; of another protocol as ``plain``."""
    frame = bytearray(plain(flow))
    if flow.protocol == 6:
        ip_bytes = 20 if flow.version == 4 else 40
        frame[_ETHERNET + ip_bytes + _TCP_FLAGS_AT] = _ACK
    return bytes(frame)


def tagged(flow: Flow) -> bytes:
    """The same with a VLAN tag."""
    frame = ack(flow)
    return frame[:12] + struct.pack("!HH", 0x8100, 7) + frame[12:]


def vlan_of(frame: bytes) -> int | None:
    """The VLAN of a frame that ``tagged`` made; None of the others."""
    return frame[15] if frame[12:14] == b"\x81\x00" else None


def error(flow: Flow) -> bytes:
    """An ICMP error of a router on the way, that quotes the server's answer to this flow."""
    answer = plain(flow.reversed())
    ip_bytes = 20 if flow.version == 4 else 40
    quoted = answer[_ETHERNET : _ETHERNET + ip_bytes + 8]
    too_big = (3, 4) if flow.version == 4 else (2, 0)
    message = struct.pack("!BBHI", *too_big, 0, 1400) + quoted
    if flow.version == 4:
        message = message[:2] + struct.pack("!H", internet_checksum(message)) + message[4:]
    carrier = plain(
        Flow(ROUTER[flow.version], 0, flow.dst_ip, 0, ICMP if flow.version == 4 else ICMPV6)
    )
    header = bytearray(carrier[: _ETHERNET + ip_bytes])
    if flow.version == 4:
        header[16:18] = struct.pack("!H", ip_bytes + len(message))
        header[24:26] = b"\0\0"
        header[24:26] = struct.pack("!H", internet_checksum(bytes(header[_ETHERNET:])))
    else:
        header[18:20] = struct.pack("!H", len(message))
    return bytes(header) + message


PACKETS: Final[Mapping[str, Callable[[Flow], bytes]]] = {
    "ack": ack,
    "syn": plain,
    "udp": plain,
    "icmp": error,
    "vlan": tagged,
}
"""Kind of packet → its frame for a flow."""


def template_of(frame: bytes, *, vips: int = 1) -> Template:
    """Find out where a frame has its client and its VIP.  Raises ConfigError for other frames."""
    at, ethertype = _ETHERNET, int.from_bytes(frame[12:14], "big")
    while ethertype in _TAGGED:
        ethertype = int.from_bytes(frame[at + 2 : at + 4], "big")
        at += _TAG
    version = _VERSION.get(ethertype)
    if version is None:
        raise ConfigError("packet", f"EtherType 0x{ethertype:04x} is not IP; send an IP packet")
    protocol, source_at, vip_at, next_at = _ip(frame, at, version)
    if protocol in WITH_PORTS:
        return _checked(
            Template(frame, version, source_at, vip_at, vip_at, next_at, True, vips)  # noqa: FBT003
        )
    if protocol == (ICMP if version == 4 else ICMPV6):
        _, vip_again_at, client_at, ports_at = _ip(frame, next_at + _ICMP_HEADER, version)
        return _checked(
            Template(frame, version, client_at, vip_at, vip_again_at, ports_at, False, vips)  # noqa: FBT003
        )
    raise ConfigError(
        "packet",
        f"protocol {protocol} has no ports; send TCP, UDP, or an ICMP error that quotes it",
    )


def _ip(frame: bytes, at: int, version: int) -> tuple[int, int, int, int]:
    """(protocol, place of the source, of the destination, of the next header).

    Of IPv6 addresses the place is that of the low half.
    """
    if len(frame) < at + (20 if version == 4 else 40):
        raise ConfigError("packet", "the frame ends before its IP header does; send a whole one")
    if version == 4:
        return frame[at + 9], at + 12, at + 16, at + (frame[at] & 0xF) * 4
    return frame[at + 6], at + 16, at + 32, at + 40


def _checked(template: Template) -> Template:
    if template.ports_at + 4 > min(len(template.frame), FRAME_BYTES):
        raise ConfigError(
            "packet", f"its ports do not lie in the first {FRAME_BYTES} bytes; send shorter headers"
        )
    return template
