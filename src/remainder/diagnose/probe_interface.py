"""Can this host run it on this interface?  What the interface and its segment must offer.

Look-only, like probe.py, which calls it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from remainder.diagnose import problems
from remainder.diagnose.problems import Problem
from remainder.diagnose.survey import Place, Survey
from remainder.diagnose.surveying import LinuxSurveyor, Surveyor
from remainder.errors import HostError
from remainder.fleet import Part
from remainder.flow import Address
from remainder.kernel import netlink, refusal
from remainder.kernel.links import links
from remainder.kernel.netlink import Interface
from remainder.kernel.segment import on_vlan
from remainder.observe import state

Trial = tuple[str, Callable[[], str]]


def trials(part: Part, interface: str, surveyor: Surveyor | None = None) -> list[Trial]:
    """Each requirement of a part on an interface, with its trial; just one if it is missing."""
    there = (f"interface {interface}", lambda: _interface(part, interface))
    try:
        found = _segment(part, interface)
    except HostError:  # the first trial reports it; the others would repeat it
        return [there]
    on_segment = [("servers on the segment", lambda: _servers(part, found))]
    asked = surveyed(
        part, cache(lambda: (surveyor or LinuxSurveyor()).survey(part, found, foreign=True))
    )
    return [
        there,
        *(on_segment if part.plan.reached else []),
        *(asked if found.up and found.carrier else []),
    ]


def surveyed(part: Part, ask: Callable[[], tuple[Place, Survey]]) -> list[Trial]:
    """What the segment is asked, all of it at the first trial."""
    word = problems.WORDS[part.role]
    whose = "only the cluster answers ARP for its addresses"
    if part.role == "balancer":
        whose = "only balancers answer ARP for the VIPs"

    def answer() -> str:
        found = ask()[1]
        _none(problems.silent(part, found))
        return f"all {len(found.told.keys() & _addresses(part))}"

    def ready() -> str:
        place, found = ask()
        _none(problems.unready(part, place, found))
        if not found.pinged:
            return "not tried: no server answers, or this host has no address to ask with"
        return "all"

    def not_taken() -> str:
        place, found = ask()
        _none(problems.taken(part, place, found))
        asked = found.asked & part.plan.vips
        return "nobody" if asked else "not tried: this host has no address to ask with"

    def not_filtered() -> str:
        found = ask()[1]
        _none(problems.filtered(found))
        if not found.foreign:
            return "not tried: no server answers for a VIP, or no address of the segment is free"
        return f"yes, tried with {', '.join(map(str, found.foreign.values()))}"

    trials: list[tuple[bool, Trial]] = [
        (bool(part.plan.reached), (f"{word}s answer ARP and neighbour discovery", answer)),
        (part.role == "balancer", ("servers answer for their VIPs", ready)),
        (part.role in ("balancer", "member") and bool(part.plan.vips), (whose, not_taken)),
        (part.role == "balancer", ("other sources get through from here", not_filtered)),
    ]
    return [(need, _if_allowed(trial)) for applies, (need, trial) in trials if applies]


def _if_allowed(trial: Callable[[], str]) -> Callable[[], str]:
    """Without CAP_NET_RAW nothing is known, which is no fault of the segment."""

    def tried() -> str:
        try:
            return trial()
        except HostError as error:
            if error.id != "needs-root":
                raise
            return f"not tried: {error}"

    return tried


def _none(found: list[Problem]) -> None:
    if found:
        raise HostError(" / ".join(problem.sentence for problem in found), id=found[0].id)


def _addresses(part: Part) -> set[Address]:
    return {address for _, _, address in part.plan.reached}


def _segment(part: Part, name: str) -> Interface:
    """The interface on which servers are looked for: the same, or that of the part's VLAN."""
    found = netlink.interface(name)
    if part.vlan is None:
        return found
    return netlink.interface_at(on_vlan(links(), found, part.vlan).segment)


def _interface(part: Part, name: str) -> str:
    found = netlink.interface(name)
    refusal.refuse_without_ethernet(found)
    _segment(part, name)
    noted = [state.read(node, role) for node, role in state.running()]
    ours = {item.interface for item in noted if item is not None}
    if found.xdp_program is not None and name not in ours:
        raise HostError(
            f"runs XDP program {found.xdp_program}, which is not ours; detach that one first",
            id="xdp-in-use",
        )
    if not found.up:
        raise HostError(f"is down; bring it up with `ip link set {name} up`")
    if not found.carrier:
        raise HostError("is up but has no carrier; check the cable and the switch's port")
    attached = f", runs XDP program {found.xdp_program}" if found.xdp_program else ""
    return f"MAC {found.mac.hex(':')}, MTU {found.mtu}, up{attached}"


def _servers(part: Part, found: Interface) -> str:
    names: dict[Address, str] = {}
    for _, name, address in part.plan.reached:
        names.setdefault(address, name)
    refused = netlink.off_link(names, found.segment)
    if refused is not None:
        address, reason = refused
        raise HostError(f"{names[address]}: {reason}")
    return "all"
