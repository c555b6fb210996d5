"""The servers of a plan on the balancer's segment: are they there, and at which MAC?

Method l2 needs every server on the interface's own segment.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final

from remainder.errors import HostError
from remainder.flow import Address
from remainder.kernel.host import Host
from remainder.kernel.netlink import Interface
from remainder.plan import Plan
from remainder.roles import ROLES

RESOLVE_S: Final = 2.0
"""How long servers that are new have to answer ARP or neighbour discovery before all goes on."""


def addresses_of(plan: Plan) -> set[Address]:
    """Every address that packets are sent to."""
    return {address for _, _, address in plan.reached}


def check_servers(host: Host, plan: Plan, interface: Interface) -> None:
    """All servers must be on the interface's segment.  Raises HostError naming one that is not."""
    first: dict[Address, tuple[str, str]] = {}  # a server of many services is looked for once
    for service, name, address in plan.reached:
        first.setdefault(address, (service, name))
    refused = host.off_link(first, interface.index)
    if refused is not None:
        address, reason = refused
        service, name = first[address]
        raise HostError(
            f"{ROLES[plan.role].owner} {name!r} of service {service!r}: {reason}; method "
            f"l2 needs it on the segment of {interface.name}"
        )


def resolve(
    host: Host,
    plan: Plan,
    ifindex: int,
    asked: Mapping[Address, bytes | None],
    warn: Callable[[str], None],
) -> dict[Address, bytes]:
    """The MACs of all servers; waits a little for those that nobody knows yet.

    Not for those that were ``asked`` for before, with an answer or without: a dead server must
    not delay each new file.
    """
    wanted = addresses_of(plan)
    host.keep_resolved(ifindex, wanted)
    _warn_of_unmanaged(host, ifindex, wanted - asked.keys(), warn)
    deadline_s = host.now_s() + RESOLVE_S
    macs = {address: mac for address, mac in asked.items() if mac and address in wanted}
    while True:
        for neighbour in host.neighbours(ifindex).values():
            if neighbour.address in wanted and neighbour.valid and neighbour.mac:
                macs[neighbour.address] = neighbour.mac
        missing = wanted - macs.keys()
        if not missing:
            return macs
        if missing <= asked.keys() or host.now_s() > deadline_s:
            break
        host.sleep(0.05)
    for service, name, address in plan.reached:
        if address in missing:
            warn(
                f"{ROLES[plan.role].owner} {name!r} of service {service!r} does not answer "
                f"{'ARP' if address.version == 4 else 'neighbour discovery'} at "
                f"{address}: its packets are dropped as 'unresolved' until it does"
            )
    return macs


def _warn_of_unmanaged(
    host: Host, ifindex: int, asked: Collection[Address], warn: Callable[[str], None]
) -> None:
    """Of what was just asked for: whether the kernel does it is read back, not assumed."""
    found = host.neighbours(ifindex)
    lost = [address for address in asked if address in found and not found[address].managed]
    if lost:
        warn(
            f"the kernel resolved {', '.join(sorted(map(str, lost)))} once and does not keep it so "
            f"(managed neighbours take Linux 5.16): a new MAC address there is followed only when "
            f"the kernel happens to learn it"
        )
