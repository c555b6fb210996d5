"""A member of a cluster that selects itself: every member hears every packet, one keeps it.

Claims: 28-30, 34-43.
Twin: bpf/member.bpf.c.
"""

from __future__ import annotations

from collections.abc import Iterator

from remainder.fleet import Part
from remainder.kernel.host import Host
from remainder.kernel.netlink import Interface
from remainder.roles.kind import XdpKind

_GROUP_BIT = 1  # of the first byte of a MAC address


class Member(XdpKind):
    """Who asks for itself."""

    choice, owner = "cluster", "member"

    def hears(self, part: Part) -> bytes | None:
        """The cluster's MAC address reaches every member."""
        return part.cluster_mac

    def warnings(self, host: Host, part: Part, interface: Interface) -> Iterator[str]:
        """A macvlan hears too little, and a stack without the drop setting takes too much."""
        mac = part.cluster_mac
        if mac is None:
            return
        if not mac[0] & _GROUP_BIT:
            if interface.kind == "macvlan":
                yield (
                    f"{interface.name} is a macvlan, which hears nothing that is sent to "
                    f"{mac.hex(':')}; choose a group address as mac of the cluster, or the "
                    f"interface below"
                )
            return
        for version in sorted({address.version for address in part.plan.vips}):
            if setting := host.missing_drop_setting(version, interface.name):
                yield (
                    f"{setting} is 0, so while no program runs here this member takes UDP of the "
                    f"other members' share too; sysctl -w {setting}=1"
                )
