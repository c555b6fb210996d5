"""The sender: a server that sends through the router that handled the way in.

Claims: 44-48.
Twin: bpf/sender.bpf.c.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from remainder.fleet import Part
from remainder.kernel import hook, netlink
from remainder.kernel.hook import Hook
from remainder.kernel.netlink import Interface
from remainder.kernel.tables import Tables
from remainder.roles.hooks import Hooks


def _refuse(interface: Interface) -> None:
    """Several programs may see what goes out; the order is theirs to agree on."""
    del interface


def _prepare(tables: Tables, part: Part, interface: Interface) -> None:
    del part
    tables.set_own_mac(interface.mac)
    tables.set_on_link(netlink.networks_on(interface.index))


def _attach(
    program_fd: int, interface: Interface, mode: str, warn: Callable[[str], None], path: Path
) -> tuple[Hook, str]:
    del mode, warn
    attached = hook.beside_stack(program_fd, interface.index, "egress", path)
    return attached, attached.way


HOOKS: Final = Hooks(refuse=_refuse, prepare=_prepare, attach=_attach)
