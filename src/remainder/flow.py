"""What the calculation looks at: the header fields of one packet.

Claims: 6-12 (data associated with the packet).
Rule: we see header fields, never a connection; a flow is a value, not a state.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from socket import AF_INET, inet_pton
from typing import TYPE_CHECKING, Final

from remainder.errors import ConfigError

Address = IPv4Address | IPv6Address

PROTOCOLS: Final[Mapping[str, int]] = {
    "tcp": 6,
    "udp": 17,
    "sctp": 132,
    "dccp": 33,
    "udplite": 136,
    "icmp": 1,
    "icmpv6": 58,
    "gre": 47,
    "esp": 50,
    "ipip": 4,
}
"""Protocol names a file may use, with their IANA numbers."""

PROTOCOL_NAMES: Final[Mapping[int, str]] = {number: name for name, number in PROTOCOLS.items()}

WITH_PORTS: Final = frozenset(PROTOCOLS[name] for name in ("tcp", "udp", "sctp", "dccp", "udplite"))
"""Protocols whose header starts with source and destination port."""

ICMP: Final = PROTOCOLS["icmp"]
ICMPV6: Final = PROTOCOLS["icmpv6"]

EXTENSION_HEADERS: Final = frozenset({0, 43, 44, 51, 60})
"""Of IPv6: what stands before the protocol of a packet (docs/packets.md, section 3)."""


@dataclass(frozen=True, slots=True)
class Flow:
    """The header fields that stay the same for all packets of a session.

    Addresses may be given as text.  Ports are 0 where the protocol has none;
    for ICMP echo ``src_port`` is the identifier (see docs/packets.md, section 4).
    """

    src_ip: Address
    src_port: int
    dst_ip: Address
    dst_port: int
    protocol: int

    if TYPE_CHECKING:

        def __init__(
            self,
            src_ip: Address | str,
            src_port: int,
            dst_ip: Address | str,
            dst_port: int,
            protocol: int,
        ) -> None: ...

    def __post_init__(self) -> None:
        for side, given in (("src_ip", self.src_ip), ("dst_ip", self.dst_ip)):
            if not isinstance(given, IPv4Address | IPv6Address):
                object.__setattr__(self, side, address_of(given, side))
        if self.src_ip.version != self.dst_ip.version:
            raise ConfigError(
                "flow",
                f"{self.src_ip} and {self.dst_ip} belong to different address families; "
                f"write both as IPv4 or both as IPv6",
            )
        for name, value, top in (
            ("source port", self.src_port, 0xFFFF),
            ("destination port", self.dst_port, 0xFFFF),
            ("protocol", self.protocol, 0xFF),
        ):
            if not isinstance(value, int):
                raise ConfigError("flow", f"{name} is {value!r}; expected a number, 0–{top}")
            if not 0 <= value <= top:
                raise ConfigError("flow", f"{name} is {value}; expected 0–{top}")

    @property
    def version(self) -> int:
        """4 or 6."""
        return self.src_ip.version

    def reversed(self) -> Flow:
        """The flow of the answers: source and destination change sides."""
        return Flow(self.dst_ip, self.dst_port, self.src_ip, self.src_port, self.protocol)

    def __str__(self) -> str:
        return (
            f"{endpoint(self.src_ip, self.src_port)} → "
            f"{endpoint(self.dst_ip, self.dst_port)} {protocol_name(self.protocol)}"
        )


def protocol_name(number: int) -> str:
    """``tcp`` for 6; the number as text if PROTOCOLS has no name for it."""
    return PROTOCOL_NAMES.get(number, str(number))


def endpoint(address: Address, port: int) -> str:
    """``192.0.2.1:80``, ``[2001:db8::1]:80``; no port if it is 0."""
    if not port:
        return str(address)
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


def address_of(given: Address | str, where: str = "address") -> Address:
    """An address as a value.  Raises ConfigError for anything that is not an IP address."""
    if isinstance(given, IPv4Address | IPv6Address):
        return given
    if not isinstance(given, str):
        raise ConfigError(where, f"{given!r} is neither an IP address nor text")
    try:
        # As strict as ip_address, and several times faster for what is nearly all of a file.
        return IPv4Address(int.from_bytes(inet_pton(AF_INET, given), "big"))
    except (OSError, ValueError):
        pass
    try:
        return ip_address(given)
    except ValueError:
        raise ConfigError(
            where,
            f"{given!r} is not an IP address; expected one like '192.0.2.11' or '2001:db8::11'",
        ) from None


_BROADCAST: Final = IPv4Address("255.255.255.255")
_LINK_LOCAL_BROADCAST: Final = IPv4Address("169.254.255.255")


def is_one_machine(address: Address) -> bool:
    """Whether an answer to this address reaches one other machine (docs/packets.md, section 8)."""
    if isinstance(address, IPv4Address):
        first = address.packed[0]
        return 1 <= first <= 223 and first != 127 and address != _LINK_LOCAL_BROADCAST
    return not (address.is_multicast or address.is_unspecified or address.is_loopback)


def check_unicast(address: Address, where: str = "address") -> None:
    """Raise ConfigError unless the address is unicast."""
    if isinstance(address, IPv4Address):
        first = int(address) >> 24
        if 0 < first < 224 and first != 127:
            return  # nearly all addresses; the rest can take the slow way
    elif address.scope_id:
        raise ConfigError(where, f"{address} has a zone ID; remove the '%' and what follows")
    elif address.ipv4_mapped:
        raise ConfigError(
            where,
            f"::ffff:{address.ipv4_mapped} is an IPv4-mapped IPv6 address; write the IPv4 address",
        )
    if (
        address.is_multicast
        or address.is_unspecified
        or address.is_loopback
        or address == _BROADCAST
    ):
        raise ConfigError(
            where,
            f"{address} is not a unicast address",
        )


_MAC = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}")


def mac_of(given: bytes | str, where: str = "mac") -> bytes:
    """A MAC address as six bytes.  Raises ConfigError for anything else."""
    if isinstance(given, bytes) and len(given) == 6:
        return given
    if isinstance(given, str) and _MAC.fullmatch(given):
        return bytes.fromhex(given.replace(":", ""))
    raise ConfigError(
        where,
        f"{given!r} is not a MAC address; expected six bytes, or text like '02:00:5e:00:53:01'",
    )


_BRACKETED = re.compile(r"\[(?P<address>[^\]]*)\](?::(?P<port>[0-9]+))?")
_PLAIN = re.compile(r"(?P<address>[^:\[\]]+)(?::(?P<port>[0-9]+))?")


def parse_endpoint(text: str, where: str = "address") -> tuple[Address, int]:
    """Read ``ADDRESS``, ``ADDRESS:PORT`` or ``[IPV6]:PORT``; the port is 0 if not given.

    Raises ConfigError for anything else.
    """
    match = _BRACKETED.fullmatch(text) or _PLAIN.fullmatch(text)
    address_text, port_text = (match["address"], match["port"]) if match else (text, None)
    try:
        address = ip_address(address_text)
    except ValueError:
        raise ConfigError(
            where,
            f"{text[:60]!r} is not an address; expected 192.0.2.1, 192.0.2.1:80, "
            f"2001:db8::1 or [2001:db8::1]:80",
        ) from None
    if getattr(address, "scope_id", None):
        raise ConfigError(
            where,
            f"{text!r} has a zone ID, which packets do not carry; remove the '%' and what follows",
        )
    port_text = (port_text or "").lstrip("0") or "0"
    if len(port_text) > len("65535") or int(port_text) > 0xFFFF:
        raise ConfigError(where, f"port is {port_text:.20} in {text:.60}; expected 0–65535")
    return address, int(port_text)


def parse_protocol(text: str, where: str = "protocol") -> int:
    """Read a protocol name or number.  Raises ConfigError."""
    if text.lower() in PROTOCOLS:
        return PROTOCOLS[text.lower()]
    if re.fullmatch(r"[0-9]{1,3}", text) and int(text) <= 0xFF:
        return int(text)
    raise ConfigError(
        where,
        f"unknown protocol {text[:60]!r}; expected {', '.join(PROTOCOLS)} or a number 0–255",
    )


def parse_flow(source: str, destination: str, protocol: str = "tcp") -> Flow:
    """A Flow from text: ``parse_flow("198.51.100.7:1234", "203.0.113.10:80", "tcp")``.

    IPv6 is written ``[2001:db8::1]:80``.  For ICMP the source port is the echo
    identifier.  Raises ConfigError.
    """
    src_ip, src_port = parse_endpoint(source, "source")
    dst_ip, dst_port = parse_endpoint(destination, "destination")
    number = parse_protocol(protocol)
    if src_ip.version == 6 and number in EXTENSION_HEADERS:
        raise ConfigError(
            "protocol",
            f"{number} is an IPv6 extension header; write the protocol of the packet behind it",
        )
    for where, text, address, port in (
        ("source", source, src_ip, src_port),
        ("destination", destination, dst_ip, dst_port),
    ):
        is_identifier = number in (ICMP, ICMPV6) and where == "source"
        if port and number not in WITH_PORTS and not is_identifier:
            raise ConfigError(
                where,
                f"{text} has a port, but {protocol_name(number)} has no ports; write {address}, "
                f"or choose a --protocol with ports, like tcp",
            )
    return Flow(src_ip, src_port, dst_ip, dst_port, number)
