"""Interfaces as the kernel describes them in a message."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

from remainder.kernel import links
from remainder.kernel.links import Link

MAC = b"\x02\0\0\0\0\5"


def message(kind: str, data: list[tuple[str, Any]], *attributes: tuple[str, Any]) -> Any:
    """Encoded and decoded again, so that it is what the kernel would send."""
    made = ifinfmsg()
    made["index"] = 7
    made["ifi_type"] = 1
    made["attrs"] = [
        ("IFLA_IFNAME", "top"),
        ("IFLA_ADDRESS", MAC.hex(":")),
        ("IFLA_LINK", 3),
        *attributes,
        (
            "IFLA_LINKINFO",
            {"attrs": [("IFLA_INFO_KIND", kind), ("IFLA_INFO_DATA", {"attrs": data})]},
        ),
    ]
    made.encode()
    read = ifinfmsg(bytes(made.data))
    read.decode()
    return read


@pytest.mark.parametrize(
    ("read", "link"),
    [
        (
            message("vlan", [("IFLA_VLAN_ID", 5)]),
            Link(index=7, name="top", mac=MAC, kind="vlan", below=3, vlan=5),
        ),
        (
            message("macvlan", [("IFLA_MACVLAN_MODE", 1)]),
            Link(index=7, name="top", mac=MAC, kind="macvlan", below=3),
        ),
        (
            message("bond", [("IFLA_BOND_MODE", 6)], ("IFLA_MASTER", 4)),
            Link(index=7, name="top", mac=MAC, kind="bond", below=3, master=4, bond_mode=6),
        ),
        (
            message("macvlan", [], ("IFLA_LINK_NETNSID", 0)),
            Link(index=7, name="top", mac=MAC, kind="macvlan"),
        ),
    ],
    ids=["VLAN", "macvlan", "bond", "above another namespace's"],
)
def test_what_an_interface_stands_on_is_read(read: Any, link: Link) -> None:
    assert link == links._link(read, {})


def test_its_addresses_are_found_by_its_number() -> None:
    address = ip_address("203.0.113.10")

    assert {address} == links._link(message("vlan", []), {7: {address}, 3: set()}).addresses
