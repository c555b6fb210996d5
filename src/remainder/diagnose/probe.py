"""Can this host run it?  Each need is tried, not guessed from a version number.

Look-only: what is loaded for the trial is gone at the end.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from remainder.errors import HostError, RemainderError
from remainder.kernel import dataplane, libbpf, pins
from remainder.kernel.oracle import oracle
from remainder.plan import Plan

Trial = tuple[str, Callable[[], str]]
"""A need, and what tries it: returns a detail, or raises RemainderError."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One need, whether it is met, and what to know about it."""

    need: str
    met: bool
    detail: str


def probe(plan: Plan, interface: str | None) -> list[Finding]:
    """Try all that ``run`` will need, as far as that can be done without changing anything."""
    trials: list[Trial] = [
        ("libbpf", _libbpf),
        ("compiled data plane", lambda: f"program {dataplane.code_fingerprint(plan.role)[:12]}"),
        ("root or capabilities", _root),
        ("the kernel accepts the program for this file", lambda: _loads(plan)),
    ]
    if interface is not None:
        from remainder.diagnose import probe_interface  # noqa: PLC0415  (netlink is slow to import)

        trials += probe_interface.trials(plan, interface)
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
