"""The server on the way in: it passes on the sessions that an earlier calculation gave others.

Claims: 1, 2 (the server of a session stays the same).
Twin: bpf/second_chance.bpf.c.
"""

from __future__ import annotations

from remainder.errors import HostError
from remainder.kernel.netlink import Interface
from remainder.roles.kind import XdpKind


class Server(XdpKind):
    """Who asks the earlier calculations."""

    choice, owner = "service", "server"

    def refuse(self, interface: Interface) -> None:
        """A macvlan drops what a program sends back (docs/machines.md)."""
        if interface.kind == "macvlan":
            raise HostError(
                f"{interface.name} is a macvlan, which drops what is passed on; use the interface "
                f"below it"
            )
