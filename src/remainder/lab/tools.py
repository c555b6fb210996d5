"""Programs of others that some scenes run: found, or named with the package that has them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from typing import Final

from remainder.errors import HostError

PACKAGES: Final[Mapping[str, str]] = {"keepalived": "keepalived", "nft": "nftables"}
"""Program → its package under Debian and Ubuntu."""


def find(name: str) -> str:
    """The path of a program.  Raises HostError if it is not installed."""
    # The folders of root's programs are not in everybody's PATH, nor in every root's.
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        raise HostError(
            f"{name} is not installed, and the scene needs it; on Debian or Ubuntu: "
            f"apt-get install {PACKAGES[name]}"
        )
    return found
