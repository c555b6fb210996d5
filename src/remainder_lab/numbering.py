"""The addresses of all hosts: documentation prefixes only (RFC 5737, RFC 3849).

Rule: pure; a scene's numbers can be known without building it.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Final

VIPS: Final[Mapping[int, str]] = {4: "203.0.113.10", 6: "2001:db8:113::10"}
"""IP version → VIP."""

ROUTER: Final[Mapping[int, str]] = {4: "192.0.2.1", 6: "2001:db8:2::1"}
BALANCER: Final[Mapping[int, str]] = {4: "192.0.2.2", 6: "2001:db8:2::2"}
SECOND_BALANCER: Final[Mapping[int, str]] = {4: "192.0.2.3", 6: "2001:db8:2::3"}

CLIENT_NETWORK: Final[Mapping[int, str]] = {4: "198.51.100.0/24", 6: "2001:db8:51::/64"}
CLIENT_ROUTER: Final[Mapping[int, str]] = {4: "198.51.100.1", 6: "2001:db8:51::1"}
CLIENT_FIRST: Final[Mapping[int, str]] = {4: "198.51.100.2", 6: "2001:db8:51::2"}

_FIXED: Final[Mapping[str, Mapping[int, str]]] = {
    "router": ROUTER,
    "balancer": BALANCER,
    "lb1": BALANCER,
    "lb2": SECOND_BALANCER,
}

EVERYWHERE: Final[Mapping[int, str]] = {4: "0.0.0.0/0", 6: "::/0"}

WIRE_BITS: Final[Mapping[int, int]] = {4: 30, 6: 126}
SEGMENT_BITS: Final[Mapping[int, int]] = {4: 24, 6: 64}
HOST_BITS: Final[Mapping[int, int]] = {4: 32, 6: 128}

MOST_CLIENTS: Final = 250
MOST_SERVERS: Final = 200


def server_names(count: int) -> list[str]:
    """``s1``, ``s2``, …"""
    return [f"s{number}" for number in range(1, count + 1)]


def server_address(name: str, version: int) -> str:
    """``192.0.2.11`` for s1, and so on."""
    number = 10 + int(name[1:])
    return f"192.0.2.{number}" if version == 4 else f"2001:db8:2::{number}"


def on_segment(name: str, version: int) -> str:
    """Address of the router, a balancer or a server, with the segment's prefix length."""
    address = _FIXED[name][version] if name in _FIXED else server_address(name, version)
    return f"{address}/{SEGMENT_BITS[version]}"


def on_client_wire(addresses: Mapping[int, str], version: int) -> str:
    """One end of the wire between clients and router, with its prefix length."""
    return f"{addresses[version]}/{WIRE_BITS[version]}"


def client_addresses(version: int, count: int) -> list[str]:
    """The first ones the clients have; the very first is that of their wire."""
    first = ip_address(CLIENT_FIRST[version])
    # The one behind it is the broadcast address of the wire.
    return [str(first + offset) for offset in (0, *range(2, count + 1))]
