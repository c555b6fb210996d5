"""Can this host run it?  Each need is tried, not guessed from a version number.

Look-only: what is loaded for the trial is gone at the end.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from remainder.errors import HostError, RemainderError
from remainder.kernel import dataplane, libbpf, netlink, pins, state
from remainder.kernel.dsr import silent_servers
from remainder.kernel.oracle import oracle
from remainder.plan import Plan


@dataclass(frozen=True, slots=True)
class Finding:
    """One need, whether it is met, and what to know about it."""

    need: str
    met: bool
    detail: str


def probe(plan: Plan, interface: str | None) -> list[Finding]:
    """Try all that ``run`` will need, as far as that can be done without changing anything."""
    trials: list[tuple[str, Callable[[], str]]] = [
        ("libbpf", _libbpf),
        ("compiled data plane", lambda: f"program {dataplane.code_fingerprint(plan.role)[:12]}"),
        ("root or capabilities", _root),
        ("the kernel accepts the program for this file", lambda: _loads(plan)),
    ]
    if interface is not None:
        trials.append((f"interface {interface}", lambda: _interface(interface)))
        trials.append(("servers on the segment", lambda: _servers(plan, interface)))
        trials.append(("servers answer for their VIPs", lambda: _answers(plan, interface)))
    return [_try(need, trial) for need, trial in trials]


def _try(need: str, trial: Callable[[], str]) -> Finding:
    try:
        return Finding(need, met=True, detail=trial())
    except RemainderError as error:
        return Finding(need, met=False, detail=str(error))


def _libbpf() -> str:
    libbpf.library()
    return "libbpf.so.1"


def _root() -> str:
    if os.geteuid() != 0:
        raise HostError("not root; loading a data plane takes CAP_BPF and CAP_NET_ADMIN")
    return "root" if pins.is_mounted() else "root; the BPF file system will be mounted by run"


def _loads(plan: Plan) -> str:
    with oracle(plan) as asked:
        return f"{asked.instructions} instructions after verification"


def _interface(name: str) -> str:
    found = netlink.interface(name)
    noted = [state.read(node, role) for node, role in state.running()]
    ours = {item.interface for item in noted if item is not None}
    if found.xdp_program is not None and name not in ours:
        raise HostError(
            f"runs XDP program {found.xdp_program}, which is not ours; stop what attached it first"
        )
    attached = f", runs XDP program {found.xdp_program}" if found.xdp_program else ""
    return f"MAC {found.mac.hex(':')}, MTU {found.mtu}, {'up' if found.up else 'down'}{attached}"


def _servers(plan: Plan, interface: str) -> str:
    index = netlink.interface(interface).index
    for _, name, address in plan.reached:
        reason = netlink.on_link(address, index)
        if reason:
            raise HostError(f"{name}: {reason}")
    return "all"


def _answers(plan: Plan, name: str) -> str:
    found = netlink.interface(name)
    known = {
        neighbour.address: neighbour.mac
        for neighbour in netlink.neighbours(found.index).values()
        if neighbour.valid and neighbour.mac
    }
    asked = {address for _, _, address in plan.reached}
    silent = silent_servers(plan, found, known)
    if silent:
        raise HostError(" / ".join(map(str, silent)))
    unknown = sorted(map(str, asked - known.keys()))
    return f"not asked, no MAC known yet: {', '.join(unknown)}" if unknown else "all"
