"""On which interface are the addresses and neighbours of a VLAN?

A program on eth0 sees the frames of all VLANs; ARP and neighbour discovery of
one of them belong to the interface of that VLAN, above eth0.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from remainder.errors import HostError
from remainder.kernel.links import Link
from remainder.kernel.netlink import Interface


def on_vlan(links: Iterable[Link], interface: Interface, vlan: int) -> Interface:
    """An interface as it serves a VLAN.  Raises HostError if the host has no interface for it."""
    around = (interface.index, interface.holder)
    for link in links:
        if link.vlan == vlan and link.below in around:
            return replace(interface, vlan=vlan, above=link.index)
    name = interface.name
    raise HostError(
        f"no interface of VLAN {vlan} above {name}, where servers are looked for; add one with "
        f"`ip link add link {name} name {name}.{vlan} type vlan id {vlan}` and give it an address",
        id="vlan-missing",
    )
