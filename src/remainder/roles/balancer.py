"""The balancer: takes what is sent to its own MAC address, sends it to a server.

Claims: 1-14, 17-27, 31-33; 15 and 16 with redundancy/.
Twin: bpf/balancer.bpf.c.
"""

from __future__ import annotations

from remainder.errors import HostError
from remainder.fleet import Part
from remainder.kernel.host import Host
from remainder.kernel.netlink import Interface
from remainder.kernel.own_macs import OwnMacs, own_macs_of
from remainder.roles.kind import XdpKind


class Balancer(XdpKind):
    """Who asks for a server."""

    choice, owner = "service", "server"
    announces = True

    def refuse(self, interface: Interface) -> None:
        """A macvlan drops what a program sends back (docs/machines.md)."""
        super().refuse(interface)
        if interface.kind == "macvlan":
            raise HostError(
                f"{interface.name} is a macvlan, which drops forwarded packets; use the interface "
                f"below it"
            )

    def own_macs(self, host: Host, part: Part, interface: Interface) -> OwnMacs:
        """A VIP may come with some of them, and must not come with the others."""
        return own_macs_of(host.links(), interface, part.plan.vips, segment=interface.segment)
