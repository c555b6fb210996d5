"""The balancer: takes what is sent to its own MAC address, sends it to a server.

Claims: 1-14, 17-27, 31-33; 15 and 16 with redundancy/.
Twin: bpf/balancer.bpf.c.
"""

from __future__ import annotations

from typing import Final

from remainder.fleet import Part
from remainder.kernel.netlink import Interface
from remainder.kernel.tables import Tables
from remainder.roles.attachment import attach_for_good, refuse_foreign_program
from remainder.roles.hooks import Hooks


def _prepare(tables: Tables, part: Part, interface: Interface) -> None:
    del part
    tables.set_own_mac(interface.mac)


HOOKS: Final = Hooks(refuse=refuse_foreign_program, prepare=_prepare, attach=attach_for_good)
