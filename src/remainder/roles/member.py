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

    def warnings(
        self, host: Host, part: Part, interface: Interface
    ) -> Iterator[tuple[str, str | None]]:
        """A macvlan hears too little, and a stack without the drop setting takes too much."""
        mac = part.cluster_mac
        if mac is None:
            return
        if not mac[0] & _GROUP_BIT:
            if interface.kind == "macvlan":
                sentence = (
                    f"{interface.name} is a macvlan and receives no frames sent to {mac.hex(':')}; "
                    f"use a multicast mac for the cluster, or the underlying interface"
                )
                yield sentence, None
            return
        for version in sorted({address.version for address in part.plan.vips}):
            if setting := host.missing_drop_setting(version, interface.name):
                sentence = (
                    f"{setting} is 0, so while no program is attached this member also accepts UDP "
                    f"packets that belong to other members; run: sysctl -w {setting}=1"
                )
                yield sentence, "l2-multicast-accepted"
