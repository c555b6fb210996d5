"""What the link layer takes: MAC addresses of a cluster, names of interfaces, VLAN IDs.

Rule: pure; what is refused here would be refused by every switch or kernel, or be lost there.
"""

from __future__ import annotations

import re
from typing import Final

from remainder.errors import ConfigError
from remainder.flow import Address, check_unicast

INTERFACE_PATTERN: Final = r"^[^\s/:%]{1,15}$"
"""What ``dev_valid_name`` of Linux takes, but for two; '%' is a place for a number there."""

INTERFACE_BYTES: Final = 15
INTERFACE_EXPECTED: Final = "an interface name, 1–15 characters without spaces, '/', ':' and '%'"

_INTERFACE: Final = re.compile(INTERFACE_PATTERN)
_BROADCAST: Final = b"\xff" * 6
_NEVER_FORWARDED: Final = bytes.fromhex("0180c20000")
"""IEEE 802.1Q, table 8-1: no bridge passes on frames to 01:80:c2:00:00:00 to …:0f."""


def is_interface_name(text: str) -> bool:
    """Whether Linux would give an interface this name."""
    return (
        _INTERFACE.fullmatch(text) is not None
        and len(text.encode()) <= INTERFACE_BYTES
        and text not in (".", "..")
    )


def check_cluster_mac(mac: bytes, where: str) -> None:
    """Raise ConfigError for an address that reaches nobody, everybody, or only the next switch."""
    written = mac.hex(":")
    if not any(mac):
        problem = f"{written} is the address of no machine"
    elif mac == _BROADCAST:
        problem = f"{written} is the broadcast address, which every machine takes"
    elif mac[:5] == _NEVER_FORWARDED and mac[5] <= 0x0F:
        problem = f"{written} is reserved, and no switch passes it on"
    else:
        return
    raise ConfigError(where, f"mac {problem}; write one like '03:00:5e:52:4d:44'")


def check_vip(address: Address, where: str) -> None:
    """Raise ConfigError unless clients behind a router can reach the address."""
    check_unicast(address, where)
    if address.version == 6 and address.is_link_local:
        raise ConfigError(
            where,
            f"{address} is a link-local address, which no router forwards to; write a global or "
            f"unique local one",
        )
