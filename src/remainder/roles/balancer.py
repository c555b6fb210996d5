"""The balancer: takes what is sent to its own MAC address, sends it to a server.

Claims: 1-14, 17-27, 31-33; 15 and 16 with redundancy/.
Twin: bpf/balancer.bpf.c.
"""

from __future__ import annotations

from remainder.errors import HostError
from remainder.kernel.card import bond_mode
from remainder.kernel.netlink import Interface
from remainder.roles.kind import XdpKind


class Balancer(XdpKind):
    """Who asks for a server."""

    choice, owner = "service", "server"

    def refuse(self, interface: Interface) -> None:
        """What loses packets, as docs/machines.md shows.

        A macvlan drops what a program sends back; a bond in mode balance-alb has its peers send
        to the MACs of its ports, while a balancer takes what is sent to that of the bond.
        """
        if interface.kind == "macvlan":
            raise HostError(
                f"{interface.name} is a macvlan, which drops forwarded packets; use the interface "
                f"below it"
            )
        if interface.kind == "bond" and bond_mode(interface.name) == "balance-alb":
            raise HostError(
                f"{interface.name} is a bond in mode balance-alb, whose peers send packets to the "
                f"MACs of its ports, which a balancer does not take; use another mode, such as "
                f"balance-tlb or 802.3ad"
            )
