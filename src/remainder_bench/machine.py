"""What a result depends on besides the program; printed with every result."""

from __future__ import annotations

import os
import platform
import re
import time
from dataclasses import dataclass
from pathlib import Path

from remainder.kernel.dataplane import code_fingerprint

_VULNERABILITIES = Path("/sys/devices/system/cpu/vulnerabilities")
_JIT = Path("/proc/sys/net/core")


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine at a time."""

    date: str
    cpu: str
    cpus: int
    load: float
    """of the last minute: what else was running"""
    kernel: str
    jit: str
    mitigations: tuple[str, ...]
    mode: str
    program: str


def this_machine(mode: str, program: str | None = None) -> Machine:
    """The facts of this machine.

    ``mode`` is how it is measured, ``program`` what is measured, by default the balancer.
    """
    return Machine(
        date=time.strftime("%Y-%m-%d %H:%M %Z"),
        cpu=cpu_name(_read(Path("/proc/cpuinfo"))),
        cpus=os.cpu_count() or 1,
        load=os.getloadavg()[0],
        kernel=platform.release(),
        jit=_jit(),
        mitigations=tuple(
            f"{path.name}: {said}"
            for path in sorted(_VULNERABILITIES.glob("*"))
            if (said := _read(path).strip()) and said != "Not affected"
        ),
        mode=mode,
        program=program or f"balancer {code_fingerprint()[:12]}",
    )


def cpu_name(cpuinfo: str) -> str:
    """The model, out of /proc/cpuinfo; the architecture where it names none."""
    found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return found[1] if found else platform.machine()


def _jit() -> str:
    enabled, harden = _read(_JIT / "bpf_jit_enable").strip(), _read(_JIT / "bpf_jit_harden").strip()
    said = {"0": "off", "1": "on", "2": "on, with its log"}.get(enabled, "unknown")
    return f"{said}, hardened" if harden not in ("", "0") else said


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
