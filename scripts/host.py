#!/usr/bin/env python3
"""What this host can do, found out by trying, in one sentence where it cannot.

The one place that decides it for ./demo, ./test and the markers in
tests/conftest.py.  Standard library only: it runs before anything is
installed.

::

    python3 scripts/host.py root|bpf|machines|realtime      # silent and 0, or the reason and 1
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

DEBIAN_KEYS: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
BPF_PROG_TYPE_XDP: Final = 6  # enum bpf_prog_type in linux/bpf.h
FLOOR: Final = (6, 1)
"""The oldest Linux that Remainder is tried on; src/remainder/kernel/refusal.py has it by role."""


def lacks_root() -> str | None:
    """Why network namespaces cannot be made here; None if they can."""
    if os.geteuid() != 0:
        return "this needs root, to make network namespaces; run it with sudo"
    try:
        run = subprocess.run(
            ("unshare", "--net", "true"), capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return "unshare is missing; on Debian or Ubuntu run: apt-get install util-linux"
    if run.returncode != 0:
        return (
            f"root may not make a network namespace here ({run.stderr.strip()}); "
            f"run this on a machine or virtual machine, or in a privileged container"
        )
    return None


def older(release: str) -> bool:
    """Whether a kernel is older than the oldest that is tried; False if it does not say."""
    found = re.match(r"(\d+)\.(\d+)", release)
    return found is not None and (int(found[1]), int(found[2])) < FLOOR


def lacks_bpf() -> str | None:
    """Why BPF programs cannot be loaded and pinned here; None if they can."""
    no_root = lacks_root()
    if no_root:
        return no_root
    if older(platform.release()):
        return (
            f"the kernel ({platform.release()}) is too old, Linux {FLOOR[0]}.{FLOOR[1]} or newer "
            f"is needed; Debian 12, Ubuntu 24.04 and RHEL 10 have one"
        )
    try:
        libbpf = ctypes.CDLL("libbpf.so.1")
    except OSError:
        return "libbpf.so.1 is missing; on Debian or Ubuntu run: apt-get install libbpf1"
    libbpf.libbpf_set_print.restype = ctypes.c_void_p
    printer = libbpf.libbpf_set_print(None)
    loads = libbpf.libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_XDP, None) == 1
    libbpf.libbpf_set_print(ctypes.c_void_p(printer))
    if not loads:
        return (
            f"the kernel ({platform.release()}) does not load an XDP program for us; those of "
            f"Debian 12, Ubuntu 24.04 and newer do, for root on a machine, a virtual machine or "
            f"in a privileged container"
        )
    if " /sys/fs/bpf bpf " not in Path("/proc/self/mounts").read_text(encoding="utf-8"):
        return (
            "the BPF file system is not mounted; run: mount -t bpf bpf /sys/fs/bpf "
            "(in a container: give it a /sys it may write to)"
        )
    return None


def lacks_realtime() -> str | None:
    """Why a flood cannot be measured here: two CPUs, one for work that goes first; None if it can.

    What ``remainder bench --flood`` says too, where it runs without the sources.
    """
    if len(os.sched_getaffinity(0)) < 2:
        return "this takes two CPUs, and this process may use one; give it more"
    most_us, of_us = (
        int(Path(f"/proc/sys/kernel/sched_rt_{name}_us").read_text(encoding="ascii"))
        for name in ("runtime", "period")
    )
    if not 0 <= most_us < of_us:
        return (
            "real-time work may take whole CPUs here; set the limit that Linux has: "
            "sysctl -w kernel.sched_rt_runtime_us=950000"
        )
    policy, priority = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        os.sched_setscheduler(0, policy, priority)
    except OSError as error:
        return (
            f"real-time priority was refused: {error.strerror}; it takes CAP_SYS_NICE, "
            f"and a container may be without"
        )
    return None


def lacks_machines() -> str | None:
    """Why virtual machines cannot be booted here; None if they can."""
    if os.geteuid() != 0:
        return "this needs root, to compile in the roots of other Debians; run it with sudo"
    if platform.machine() != "x86_64":
        return f"qemu and the compilers are fetched for x86-64, and this is {platform.machine()}"
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            return f"{tool} is missing; kernels, compilers and qemu come from Debian's packages"
    if not DEBIAN_KEYS.exists():
        return (
            f"{DEBIAN_KEYS} is missing, with which Debian's packages are verified; "
            f"run: apt-get install debian-archive-keyring"
        )
    return None


LACKS: Final[Mapping[str, Callable[[], str | None]]] = {
    "root": lacks_root,
    "bpf": lacks_bpf,
    "machines": lacks_machines,
    "realtime": lacks_realtime,
}


def main() -> int:
    """Answer for the name on the command line."""
    if len(sys.argv) != 2 or sys.argv[1] not in LACKS:
        print(f"usage: host.py {'|'.join(LACKS)}", file=sys.stderr)
        return 2
    reason = LACKS[sys.argv[1]]()
    if reason:
        print(reason)
    return 1 if reason else 0


if __name__ == "__main__":
    sys.exit(main())
