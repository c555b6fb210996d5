"""The servers of a plan on the balancer's segment: are they there, and at which MAC?

Method l2 needs every server on the interface's own segment.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final

from remainder.errors import HostError
from remainder.flow import Address
from remainder.kernel import segment
from remainder.kernel.host import Host
from remainder.kernel.neighbours import Neighbour
from remainder.kernel.netlink import Interface
from remainder.messages import Warn
from remainder.plan import Plan
from remainder.roles import ROLES

RESOLVE_S: Final = 2.0
"""How long servers that are new have to answer ARP or neighbour discovery before all goes on."""


def addresses_of(plan: Plan) -> set[Address]:
    """Every address that packets are sent to."""
    return {address for _, _, address in plan.reached}


def on_vlan(host: Host, interface: Interface, vlan: int | None) -> Interface:
    """An interface as it serves a part of the file: untagged, or a VLAN.  Raises HostError."""
    if vlan is None:
        return replace(interface, vlan=None, above=None)
    return segment.on_vlan(host.links(), interface, vlan)


def check_servers(host: Host, plan: Plan, interface: Interface) -> None:
    """All servers must be on the interface's segment.  Raises HostError naming one that is not."""
    first: dict[Address, tuple[str, str]] = {}  # a server of many services is looked for once
    for service, name, address in plan.reached:
        first.setdefault(address, (service, name))
    refused = host.off_link(first, interface.segment)
    if refused is not None:
        address, reason = refused
        service, name = first[address]
        raise HostError(
            f"{ROLES[plan.role].owner} {name!r} of service {service!r}: {reason}; method "
            f"l2 requires it on the segment of {interface.name}",
            id="server-off-segment",
        )


@dataclass(frozen=True)
class Resolved:
    """Where servers are, and which of them the kernel looks for because we asked."""

    macs: dict[Address, bytes]
    managed: set[Address]


def resolve(  # noqa: PLR0913  (what is asked, of whom, and who hears of it)
    host: Host,
    plan: Plan,
    interface: Interface,
    asked: Mapping[Address, bytes | None],
    warn: Warn,
    *,
    follow: Callable[[Neighbour], None] | None = None,
) -> Resolved:
    """The MACs of all servers; waits a little for those that nobody knows yet.

    Not for those that were ``asked`` for before, with an answer or without: a dead server must
    not delay each new file.  ``follow`` is given whatever is learned meanwhile.
    """
    index = interface.segment
    wanted = addresses_of(plan)
    known = host.neighbours(index)
    managed = {
        address for address in wanted if address not in known or not known[address].permanent
    }
    host.keep_resolved(
        index,
        [address for address in managed if address not in known or not known[address].managed],
    )
    _warn_of_unmanaged(host, index, managed - asked.keys(), warn)
    deadline_s = host.now_s() + RESOLVE_S
    macs = {address: mac for address, mac in asked.items() if mac and address in wanted}
    while True:
        for neighbour in host.neighbours(index).values():
            if follow is not None:
                follow(neighbour)
            mac = neighbour.believable(interface.mac)
            if neighbour.address in wanted and mac:
                macs[neighbour.address] = mac
        missing = wanted - macs.keys()
        if not missing:
            return Resolved(macs, managed)
        if missing <= asked.keys() or host.now_s() > deadline_s:
            break
        host.sleep(0.05)
    for service, name, address in plan.reached:
        if address in missing:
            warn(
                f"{ROLES[plan.role].owner} {name!r} of service {service!r} does not answer "
                f"{'ARP' if address.version == 4 else 'neighbour discovery'} at "
                f"{address}; packets for it are dropped as 'unresolved' until it does",
                id="server-unresolved",
            )
    return Resolved(macs, managed)


def _warn_of_unmanaged(host: Host, ifindex: int, asked: Collection[Address], warn: Warn) -> None:
    """Of what was just asked for: whether the kernel does it is read back, not assumed."""
    found = host.neighbours(ifindex)
    lost = [address for address in asked if address in found and not found[address].managed]
    if lost:
        warn(
            f"this kernel does not keep {', '.join(sorted(map(str, lost)))} resolved (managed "
            f"neighbours need Linux 5.16), so a changed MAC address may go unnoticed"
        )
