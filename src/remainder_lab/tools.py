"""Programs of others that some scenes run: found, or named with the package that has them."""

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
            f"{name} is not installed, and is needed here; on Debian or Ubuntu: "
            f"apt-get install {PACKAGES[name]}"
        )
    return found


def path_of(name: str) -> str | None:
    """The path of a program, for whoever can do without it."""
    # The folders of root's programs are not in everybody's PATH, nor in every root's.
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
