"""Can this host run it?  Each need is tried, not guessed from a version number.

Look-only: what a trial loads and attaches, in a network namespace of its own, is
gone when it ends.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from remainder.errors import HostError, RemainderError
from remainder.fleet import Part
from remainder.kernel import dataplane, hook, image, libbpf, netns, pins, refusal
from remainder.kernel.dataplane import Dataplane
from remainder.kernel.hook import Direction
from remainder.kernel.oracle import oracle
from remainder.plan import Plan, Role

_LOOPBACK: Final = 1  # its index in every network namespace
_ANY_NEIGHBOUR: Final = ip_address("192.0.2.1")
_NOT_TRIED: Final = "not tried: the trial needs CAP_SYS_ADMIN (`run` does not)"


@dataclass(frozen=True, slots=True)
class Finding:
    """One requirement, whether it is met, and details."""

    need: str
    met: bool
    detail: str


def probe_host(roles: Collection[Role]) -> list[Finding]:
    """Try what ``run`` needs of this host, whatever the plan."""
    return [
        _try("libbpf", _libbpf),
        _try("kernel", lambda: _kernel(roles)),
        _try("root or capabilities", _root),
        _try("kernel keeps neighbours resolved", _keeps_resolved),
    ]


def probe(part: Part, interface: str | None) -> list[Finding]:
    """Try what ``run`` will need for a part, without changing anything for good."""
    plan = part.plan
    loads = _try("kernel accepts the program", lambda: _loads(plan))
    findings = [
        _try(
            "compiled data plane", lambda: f"program {dataplane.code_fingerprint(plan.role)[:12]}"
        ),
        loads,
    ]
    if loads.met:
        findings.append(_try("program can be attached", lambda: _attaches(plan)))
    if interface is not None:
        from remainder.diagnose import probe_interface  # noqa: PLC0415  (netlink is slow to import)

        findings += [_try(*trial) for trial in probe_interface.trials(part, interface)]
    return findings


def _try(need: str, trial: Callable[[], str]) -> Finding:
    try:
        return Finding(need, met=True, detail=trial())
    except RemainderError as error:
        return Finding(need, met=False, detail=str(error))


def _libbpf() -> str:
    libbpf.library()
    return "libbpf.so.1"


def _kernel(roles: Collection[Role]) -> str:
    for role in roles:
        refusal.refuse_old_kernel(role)
    return f"Linux {platform.release()}"


def _root() -> str:
    missing = refusal.missing_capabilities()
    if missing:
        raise HostError(
            f"loading a data plane requires root, or {refusal.listed(missing)}", id="needs-root"
        )
    who = "root" if os.geteuid() == 0 else "capabilities"
    return who if pins.is_mounted() else f"{who}; `run` will mount the BPF file system"


def _keeps_resolved() -> str:
    """Tried on the loopback of a network namespace, and read back."""
    from remainder.kernel import neighbours  # noqa: PLC0415  (slow to import)

    if not netns.can_be_made():
        return _NOT_TRIED

    def inside() -> bool:
        neighbours.keep_resolved(_LOOPBACK, [_ANY_NEIGHBOUR])
        return any(found.managed for found in neighbours.neighbours(_LOOPBACK).values())

    if not netns.apart(inside):
        raise HostError(
            "this kernel resolves neighbours only once (managed neighbours need Linux 5.16), so a "
            "server that changes its MAC address may be lost"
        )
    return "managed neighbours"


def _loads(plan: Plan) -> str:
    with oracle(plan) as asked:
        return f"{asked.instructions} instructions after verification"


def _attaches(plan: Plan) -> str:
    """On the loopback of a network namespace that ends with the trial."""
    if not netns.can_be_made():
        return _NOT_TRIED
    loaded = dataplane.load(image.need_of(plan), image.features_of(plan), role=plan.role)
    try:
        return netns.apart(lambda: ", ".join(_ways(loaded)))
    finally:
        loaded.close()


def _ways(loaded: Dataplane) -> Iterator[str]:
    if loaded.role == "sender":
        yield f"{_way(loaded.program_fd, 'egress')} egress"
        return
    os.close(libbpf.attach(loaded.program_fd, _LOOPBACK, "generic"))
    yield "XDP"
    if loaded.companion_fd is not None:
        yield f"{_way(loaded.companion_fd, 'ingress')} ingress"


def _way(program_fd: int, direction: Direction) -> str:
    way = hook.trial(program_fd, _LOOPBACK, direction)
    return "clsact (before Linux 6.6)" if way == "clsact" else way
