"""Can this host run it on this interface?  What the interface and its segment must offer.

Look-only, like probe.py, which calls it.
"""

from __future__ import annotations

from collections.abc import Callable

from remainder.diagnose.dsr import silent_servers
from remainder.errors import HostError
from remainder.flow import Address
from remainder.kernel import neighbours, netlink
from remainder.observe import state
from remainder.plan import Plan


def trials(plan: Plan, interface: str) -> list[tuple[str, Callable[[], str]]]:
    """Each requirement of a plan on an interface, with its trial; just one if it is missing."""
    there = (f"interface {interface}", lambda: _interface(interface))
    try:
        netlink.interface(interface)
    except HostError:  # the first trial reports it; the others would repeat it
        return [there]
    return [
        there,
        ("servers on the segment", lambda: _servers(plan, interface)),
        ("servers answer for their VIPs", lambda: _answers(plan, interface)),
    ]


def _interface(name: str) -> str:
    found = netlink.interface(name)
    noted = [state.read(node, role) for node, role in state.running()]
    ours = {item.interface for item in noted if item is not None}
    if found.xdp_program is not None and name not in ours:
        raise HostError(
            f"runs XDP program {found.xdp_program}, which is not ours; detach that one first",
            id="xdp-in-use",
        )
    attached = f", runs XDP program {found.xdp_program}" if found.xdp_program else ""
    return f"MAC {found.mac.hex(':')}, MTU {found.mtu}, {'up' if found.up else 'down'}{attached}"


def _servers(plan: Plan, interface: str) -> str:
    index = netlink.interface(interface).index
    names: dict[Address, str] = {}
    for _, name, address in plan.reached:
        names.setdefault(address, name)
    refused = netlink.off_link(names, index)
    if refused is not None:
        address, reason = refused
        raise HostError(f"{names[address]}: {reason}")
    return "all"


def _answers(plan: Plan, name: str) -> str:
    found = netlink.interface(name)
    known = {
        neighbour.address: neighbour.mac
        for neighbour in neighbours.neighbours(found.index).values()
        if neighbour.valid and neighbour.mac
    }
    asked = {address for _, _, address in plan.reached}
    silent = silent_servers(plan, found, known)
    if silent:
        raise HostError(" / ".join(map(str, silent)))
    unknown = sorted(map(str, asked - known.keys()))
    return f"not pinged, MAC not known yet: {', '.join(unknown)}" if unknown else "all"
