"""Settings of the network stack that a role depends on.  Look-only."""

from __future__ import annotations

from pathlib import Path
from typing import Final

SETTINGS: Final = Path("/proc/sys/net")

DROPS: Final = "drop_unicast_in_l2_multicast"
"""Does the stack take what is sent to its own address, but to a group MAC address?"""


def missing_drop_setting(version: int, interface: str) -> str | None:
    """The setting that should be 1 and is not, as ``sysctl`` writes it; None if one is.

    Of IPv4 that for all interfaces counts too, of IPv6 only the interface's own.
    """
    names = ("all", interface) if version == 4 else (interface,)
    if any(_read(version, name) != "0" for name in names):
        return None
    # In a name that has a dot (VLANs) sysctl wants a slash for it.
    return f"net.ipv{version}.conf.{names[0].replace('.', '/')}.{DROPS}"


def _read(version: int, name: str) -> str | None:
    try:
        return (SETTINGS / f"ipv{version}" / "conf" / name / DROPS).read_text("ascii").strip()
    except OSError:
        return None  # this kernel is without it
