"""A member of a cluster that selects itself: every member hears every packet, one keeps it.

Claims: 28-30, 34-43.
Twin: bpf/member.bpf.c.
"""

from __future__ import annotations

from typing import Final

from remainder.fleet import Part
from remainder.kernel import netlink
from remainder.kernel.netlink import Interface
from remainder.kernel.tables import Tables
from remainder.roles.attachment import attach, refuse_foreign_program
from remainder.roles.hooks import Hooks


def _prepare(tables: Tables, part: Part, interface: Interface) -> None:
    tables.set_own_mac(interface.mac)
    if part.cluster_mac is not None:
        tables.set_cluster_mac(part.cluster_mac)
        netlink.listen_to(interface, part.cluster_mac, join=True)


def _release(part: Part, interface: Interface) -> None:
    if part.cluster_mac is not None:
        netlink.listen_to(interface, part.cluster_mac, join=False)


HOOKS: Final = Hooks(
    refuse=refuse_foreign_program, prepare=_prepare, attach=attach, release=_release
)
