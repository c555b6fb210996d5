"""A trunk port of a lab's switch: its other end is in a VLAN (field: labs).

Twin: bpf/tag.bpf.c.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from pyroute2 import IPRoute

from remainder.kernel import clsact, libbpf

TAG: Final = Path(__file__).parent / "bpf" / "tag.bpf.o"
VLAN: Final = 5
_PROGRAMS: Final = {"egress": "tag", "ingress": "untag"}


def begin(interface: str) -> None:
    """Tag what leaves an interface of the current namespace; drop what comes without the tag."""
    index = _index(interface)
    clsact.add_qdisc(index)
    for direction, program in _PROGRAMS.items():
        with libbpf.opened(TAG) as opened:
            opened.load(program)
            descriptor = opened.program_fd(program)
        try:
            clsact.attach(descriptor, index, direction)
        finally:
            os.close(descriptor)


def end(interface: str) -> None:
    """Let the interface carry frames as they are again."""
    index = _index(interface)
    for direction in _PROGRAMS:
        clsact.detach(index, direction)
    clsact.remove_empty_qdisc(index)


def _index(interface: str) -> int:
    with IPRoute() as route:
        return int(route.link_lookup(ifname=interface)[0])
