"""What the kernel refused, in true words: which of its reasons it was, and what to do.

The version of a kernel words a failure, or refuses what nobody has tried; what
a kernel can do is found by trying.
"""

from __future__ import annotations

import errno
import os
import platform
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from remainder.errors import HostError, Unsupported
from remainder.plan import Role

if TYPE_CHECKING:
    from remainder.kernel.netlink import Interface  # which is slow to import

FLOOR: Final[Mapping[Role, tuple[int, int]]] = {
    "balancer": (6, 1),  # values of mmapable arrays beyond 4 MiB take 6.0
    "member": (6, 1),
    "sender": (6, 1),
}
"""The oldest Linux that each role is tried on."""

_CAPABILITIES: Final = {"CAP_BPF": 39, "CAP_NET_ADMIN": 12, "CAP_PERFMON": 38}
_CAP_SYS_ADMIN: Final = 21  # stands for CAP_BPF and CAP_PERFMON
_STATUS: Final = Path("/proc/thread-self/status")
_LOCKDOWN: Final = Path("/sys/kernel/security/lockdown")
_VERDICT_LINES: Final = 3
_STATISTICS: Final = ("processed ", "verification time ", "stack depth ", "peak_states ")


def failure(number: int, doing: str) -> HostError:
    """For an error number of the kernel."""
    words = os.strerror(number)
    if number in (errno.EPERM, errno.EACCES):
        reason = "needs-root" if missing_capabilities() else "not-permitted"
        error = HostError(
            f"{doing}: the kernel says {words.lower()}, {_why_not_permitted()}", id=reason
        )
    else:
        error = HostError(f"{doing}: {words}")
    error.errno = number
    return error


def _why_not_permitted() -> str:
    missing = missing_capabilities()
    if missing:
        return f"and this process lacks {listed(missing)}; run as root, or with these capabilities"
    return (
        f"though this process has the capabilities, so something else forbids it: a container's "
        f"seccomp filter, a user namespace or a security module{_lockdown()}; run on the machine "
        f"itself, or in a privileged container"
    )


def listed(names: Sequence[str]) -> str:
    """``A, B and C``."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def missing_capabilities() -> list[str]:
    """Those of the capabilities that loading and attaching take which this thread lacks."""
    held = next(
        int(line.split()[1], 16)
        for line in _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
        if line.startswith("CapEff:")
    )
    if held >> _CAP_SYS_ADMIN & 1:
        held |= 1 << _CAPABILITIES["CAP_BPF"] | 1 << _CAPABILITIES["CAP_PERFMON"]
    return [name for name, bit in _CAPABILITIES.items() if not held >> bit & 1]


def _lockdown() -> str:
    try:
        chosen = re.search(r"\[(\w+)\]", _LOCKDOWN.read_text(encoding="ascii"))
    except OSError:
        return ""
    return "" if chosen is None or chosen[1] == "none" else f" (kernel lockdown is {chosen[1]!r})"


def rejected(program: str, log: str, compiler: str) -> HostError:
    """For a program that the kernel's verifier read and did not accept."""
    lines = [line for line in log.splitlines() if line and not line.startswith(_STATISTICS)]
    return HostError(
        f"the kernel's verifier rejected program {program!r} (Linux {platform.release()}, compiled "
        f"by {compiler}): {' / '.join(lines[-_VERDICT_LINES:])}; please report this sentence, with "
        f"the file",
        id="verifier-rejected",
    )


def compiler_of(compiled: bytes) -> str:
    """Who made an object, by what it says of itself."""
    found = re.search(rb"clang version ([\w.+~-]+)", compiled)
    return f"clang {found[1].decode('ascii')}" if found else "an unknown compiler"


def too_old(role: Role, release: str) -> str | None:
    """Why a kernel of this release cannot have a role; None if it can, or none can tell."""
    found, needed = version_of(release), FLOOR[role]
    if found is None or found >= needed:
        return None
    return (
        f"Linux {release} is too old: a {role} needs {needed[0]}.{needed[1]} or newer, as in "
        f"Debian 12, Ubuntu 24.04 and RHEL 10"
    )


def version_of(release: str) -> tuple[int, int] | None:
    """(6, 1) of ``6.1.0-37-amd64``."""
    found = re.match(r"(\d+)\.(\d+)", release)
    return (int(found[1]), int(found[2])) if found else None


def on_old_kernel(release: str) -> str:
    """What to add to a failure that the age of the kernel may explain; else nothing."""
    found, needed = version_of(release), min(FLOOR.values())
    if found is None or found >= needed:
        return ""
    return f" on Linux {release}, where {needed[0]}.{needed[1]} or newer is needed"


def refuse_without_ethernet(interface: Interface) -> None:
    """Raises HostError for an interface like tun0 or lo, whose frames have no MAC addresses."""
    if not interface.ethernet:
        raise HostError(
            f"{interface.name} carries no Ethernet frames, so method l2 cannot address a server "
            f"there; use an Ethernet interface",
            id="interface-not-ethernet",
        )


def refuse_old_kernel(role: Role) -> None:
    """Raises Unsupported if the running kernel is too old for a role."""
    sentence = too_old(role, platform.release())
    if sentence is not None:
        raise Unsupported(sentence, id="kernel-too-old")
