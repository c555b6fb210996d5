"""The program of a lab's switch (field: labs).

Twin: bpf/switch.bpf.c.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Final

from remainder.kernel import libbpf

SWITCH: Final = Path(__file__).parent / "bpf" / "switch.bpf.o"
PORTS: Final = 64


class Switching:
    """The loaded program; call it in the network namespace of its ports."""

    def __init__(self) -> None:
        with libbpf.opened(SWITCH) as opened:
            opened.load("forward")
            self._program = opened.program_fd("forward")
            self._ports = opened.map("ports")
        self._links: list[int] = []

    def add_port(self, number: int, ifindex: int) -> None:
        """Let an interface be the port of the MAC address that ends in this number."""
        self._links.append(libbpf.attach(self._program, ifindex, "native"))
        self._ports.update(number, struct.pack("=I", ifindex))

    def close(self) -> None:
        """Unload; the ports pass everything to their own host again."""
        for descriptor in (*self._links, self._program):
            os.close(descriptor)
        self._ports.close()
