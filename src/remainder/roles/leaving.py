"""A role ends: its program goes, and what it has put on this machine.

Law: nothing is taken that was not given.
"""

from __future__ import annotations

from contextlib import suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from remainder.errors import HostError
from remainder.kernel.host import Host
from remainder.observe import state
from remainder.roles import ROLES, notes

if TYPE_CHECKING:
    from remainder.roles.running import RunningRole

HANDED_OVER_S: Final = 0.1
"""For what is still on its way here when another balancer was announced."""


def stop(role: RunningRole) -> None:
    """Detach, and take back what was put on this machine; what fails is told."""
    role.unassign(role.assigned, index=role.interface.segment)
    if role.assigned and ROLES[role.role].announces:
        _hand_over(role)
    if role.heard is not None:
        with role.telling():
            role.host.listen_to(role.interface, role.heard, join=False)
    role.close()
    with role.telling():
        role.planes.remove(role.wanted.node, role.role)
    give_back(role.host, role.interface.name, role.offloads)
    role.forget(role.managed)
    state.remove(role.wanted.node, role.role)


def _hand_over(role: RunningRole) -> None:
    """Let neighbours know of another balancer while what comes here is still forwarded."""
    with role.telling():
        vips, servers = frozenset(role.assigned), frozenset(role.macs.values())
        if role.host.hand_over(role.interface.segment, role.interface.mac, vips, servers):
            role.host.sleep(HANDED_OVER_S)


def give_back(host: Host, name: str, offloads: tuple[str, ...]) -> None:
    """Switch offloads on again."""
    with suppress(HostError):  # the interface may be gone
        host.switch_offloads(name, offloads, on=True)


def take_back(host: Host, before: state.State) -> None:
    """Take back what a process put on an interface, by its notes."""
    index = notes.index_of(before, host)
    if index is None:
        return  # the interface is gone, and with it what stood on it
    interface = host.interface_at(index)
    # It may have served a VLAN, of which the notes do not tell.
    above = [link.index for link in host.links() if link.vlan and link.below == index]
    for segment in (interface.segment, *above):
        for text in before.assigned:
            host.remove_address(segment, ip_address(text))
        host.forget(segment, [ip_address(text) for text in before.managed])
    give_back(host, interface.name, tuple(before.offloads))
    mac = notes.mac_of(before.cluster_mac)
    if mac is not None:
        host.listen_to(interface, mac, join=False)
