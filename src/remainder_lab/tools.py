"""External programs that some scenes run: their paths, or the package to install."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from typing import Final

from remainder.errors import HostError

PACKAGES: Final[Mapping[str, str]] = {
    "haproxy": "haproxy",
    "keepalived": "keepalived",
    "nft": "nftables",
}
"""Program → its package under Debian and Ubuntu."""


def find(name: str) -> str:
    """The path of a program.  Raises HostError if it is not installed."""
    found = path_of(name)
    if found is None:
        raise HostError(
            f"{name} is required but not installed; on Debian or Ubuntu: "
            f"apt-get install {PACKAGES[name]}"
        )
    return found


def path_of(name: str) -> str | None:
    """The path of a program; None if it is not installed."""
    # /usr/sbin is not in every PATH, not even in every root's.
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
