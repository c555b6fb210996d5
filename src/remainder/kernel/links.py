"""All interfaces of this machine, with what stands above, below and on each of them.

Read in two dumps, so that a decision sees one moment of the host.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from remainder.flow import Address
from remainder.kernel.netlink import ETHERNET, netlink


@dataclass(frozen=True, slots=True)
class Link:
    """An Ethernet interface among the others."""

    index: int
    name: str
    mac: bytes
    kind: str | None = None
    addresses: frozenset[Address] = frozenset()
    below: int | None = None
    """the interface that it stands on: of a VLAN interface or a macvlan"""
    master: int | None = None
    """the bond or bridge that it belongs to"""
    bond_mode: int | None = None
    vlan: int | None = None


def links() -> list[Link]:
    """Every Ethernet interface, in the order of the kernel's numbers."""
    with netlink() as route:
        on: defaultdict[int, set[Address]] = defaultdict(set)
        for message in route.get_addr():
            on[message["index"]].add(ip_address(message.get("local") or message.get("address")))
        found = [_link(message, on) for message in route.get_links() if _is_ethernet(message)]
    return sorted(found, key=lambda link: link.index)


def _is_ethernet(message: Any) -> bool:
    return bool(message["ifi_type"] == ETHERNET)


def _link(message: Any, on: dict[int, set[Address]]) -> Link:
    info = message.get("linkinfo")
    kind = info.get("kind") if info else None
    data = info.get("data") if info else None
    # The number of an interface below may be one of another network namespace.
    elsewhere = message.get("link_netnsid") is not None
    return Link(
        index=message["index"],
        name=message.get("ifname"),
        mac=bytes.fromhex((message.get("address") or "").replace(":", "")),
        kind=kind,
        below=None if elsewhere else message.get("link"),
        master=message.get("master"),
        bond_mode=data.get("bond_mode") if data and kind == "bond" else None,
        vlan=data.get("vlan_id") if data and kind == "vlan" else None,
        addresses=frozenset(on.get(message["index"], ())),
    )
