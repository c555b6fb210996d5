"""A member of a cluster that selects itself: every member hears every packet, one keeps it.

Claims: 28-30, 34-43.
Twin: bpf/member.bpf.c.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from remainder.fleet import Part
from remainder.kernel import netlink, sysctl
from remainder.kernel.netlink import Interface
from remainder.kernel.tables import Tables
from remainder.roles.attachment import attach_for_good, refuse_foreign_program
from remainder.roles.hooks import Hooks


def _prepare(tables: Tables, part: Part, interface: Interface) -> None:
    tables.set_own_mac(interface.mac)
    if part.cluster_mac is not None:
        netlink.listen_to(interface, part.cluster_mac, join=True)  # may be refused, so first
        tables.set_cluster_mac(part.cluster_mac)


def _release(part: Part, interface: Interface) -> None:
    if part.cluster_mac is not None:
        netlink.listen_to(interface, part.cluster_mac, join=False)


def _warn_of(part: Part, interface: Interface) -> Iterator[str]:
    if part.cluster_mac is None:
        return
    if not part.cluster_mac[0] & 1:
        if interface.kind == "macvlan":
            yield (
                f"{interface.name} is a macvlan, which hears nothing that is sent to "
                f"{part.cluster_mac.hex(':')}; choose a group address as mac of the cluster, or "
                f"the interface below"
            )
        return
    for version in sorted({address.version for address in part.plan.vips}):
        if setting := sysctl.missing_drop_setting(version, interface.name):
            yield (
                f"{setting} is 0, so while no program runs here this member takes UDP of the other "
                f"members' share too; sysctl -w {setting}=1"
            )


HOOKS: Final = Hooks(
    refuse=refuse_foreign_program,
    prepare=_prepare,
    attach=attach_for_good,
    release=_release,
    warn_of=_warn_of,
)
