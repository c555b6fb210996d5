"""The sender: a server that sends through the router that handled the way in.

Claims: 44-48.
Twin: bpf/sender.bpf.c.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import IPv4Network, IPv6Network

from remainder.kernel.host import Host
from remainder.kernel.netlink import Interface
from remainder.roles.kind import XdpKind


class Sender(XdpKind):
    """Who asks for a router; its program stands beside the stack."""

    choice, owner, side = "return path", "router", "egress"

    def wants_native(self, interface: Interface, mode: str) -> bool:
        """It has no mode."""
        del interface, mode
        return False

    def on_link(self, host: Host, interface: Interface) -> Collection[IPv4Network | IPv6Network]:
        """What goes to the segment needs no router."""
        return host.networks_on(interface.segment)
