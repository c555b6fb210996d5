"""HOW does a packet get to its owner?  A new method is one file here, one in bpf/, a line each."""

from collections.abc import Mapping
from typing import Final

from remainder.forwarding import l2
from remainder.forwarding.l2 import Method

METHODS: Final[Mapping[str, Method]] = {
    "l2": l2.METHOD,
}

__all__ = ["METHODS", "Method"]
