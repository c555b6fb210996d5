"""A program that passes everything, for the far end of an XDP veth (field: labs).

A veth delivers what its peer sends back by native XDP only if it runs a
program itself.
Twin: bpf/pass.bpf.c.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from pyroute2 import IPRoute

from remainder.kernel import libbpf

PASS: Final = Path(__file__).parent / "bpf" / "pass.bpf.o"


def attach(interface: str) -> None:
    """Let an interface of the current network namespace pass everything, natively.

    The program stays for as long as the interface does.
    """
    with libbpf.opened(PASS) as opened:
        opened.take_buffers("pass")
        opened.load("pass")
        fd = opened.program_fd("pass")
    try:
        with IPRoute() as route:
            (index,) = route.link_lookup(ifname=interface)
            route.link("set", index=index, xdp_fd=fd)
    finally:
        os.close(fd)
