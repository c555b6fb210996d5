"""Method ``l2``: rewrite the destination MAC and send the frame back out (DSR).

Claim: 26d, 27d (distributing the packet to the identified server).
Twin: bpf/forward.h, ``forward_l2``.
The servers are on the balancer's segment, hold the VIP on their loopback, do
not answer ARP for it, and reply to the client directly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Method:
    """What the rest of the program must know of a forwarding method."""

    number: int  # enum method in bpf/abi.h
    overhead_bytes: int  # what it adds to a packet
    on_link: bool  # the servers must be on the interface's own segment


METHOD: Final = Method(number=0, overhead_bytes=0, on_link=True)
