"""What a server's kernel knows of sessions: section 12 of docs/packets.md.

Claims: 1, 2 (the server of a session stays the same).
Twin: bpf/sockets.h, which asks the kernel itself.
Rule: sockets come in as a value, so that the model needs no kernel.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from remainder.flow import Address, Flow
from remainder.reference.frame import TCP
from remainder.reference.parse import IPV4, Ip, Packet, word

TCP_BYTES: Final = 20
FIN, SYN, RST, ACK = 1, 2, 4, 16


class Knowledge(enum.StrEnum):
    """What a machine knows of the session of a packet."""

    NEW = "a SYN: whoever gets it has it"
    KNOWN = "a session of this machine"
    UNKNOWN = "a listener, and no such session"
    BLIND = "no listener here either: its sessions may be elsewhere"
    NONE = "no session: of another protocol, a fragment, or cut short"


@dataclass(frozen=True)
class Tcp:
    """What a TCP header says of its session."""

    flags: int
    sequence: int
    acknowledged: int

    @property
    def is_new(self) -> bool:
        """A SYN and nothing else that matters."""
        return self.flags & (SYN | ACK | RST) == SYN

    @property
    def may_bring_cookie(self) -> bool:
        """The answer to a SYN cookie has ACK alone of the three."""
        return self.flags & (SYN | ACK | RST) == ACK


def _no_cookie(flow: Flow, tcp: Tcp) -> bool:
    del flow, tcp
    return False


@dataclass(frozen=True)
class Sockets:
    """The TCP sockets of a machine; flows are those of the way in."""

    listening: frozenset[tuple[Address, int]] = frozenset()
    live: frozenset[Flow] = frozenset()
    """sessions in any state but LISTEN and TIME_WAIT"""
    closed: Mapping[Flow, tuple[int, int]] = field(default_factory=dict)
    """sessions in TIME_WAIT → (the sequence number awaited next, the window)"""
    is_cookie: Callable[[Flow, Tcp], bool] = _no_cookie
    """whether a packet acknowledges a SYN cookie of this machine"""

    def knowledge_of(self, flow: Flow, tcp: Tcp | None) -> Knowledge:
        """Of a packet, or with ``tcp`` None of an ICMP error about its session."""
        if tcp is not None and tcp.is_new:
            return Knowledge.NEW
        if flow in self.live:
            return Knowledge.KNOWN
        if flow in self.closed:
            awaited, window = self.closed[flow]
            known = tcp is not None and _ahead(tcp.sequence, awaited) <= window
        elif (flow.dst_ip, flow.dst_port) in self.listening:
            known = tcp is not None and tcp.may_bring_cookie and self.is_cookie(flow, tcp)
        else:
            return Knowledge.BLIND
        return Knowledge.KNOWN if known else Knowledge.UNKNOWN


NO_SOCKETS: Final = Sockets()


def knowledge_of(frame: bytes, what: Packet, flow: Flow, sockets: Sockets) -> Knowledge:
    """What is known of the session that a packet belongs to, or quotes."""
    if flow.protocol != TCP or what.is_fragment:
        return Knowledge.NONE
    tcp = None if what.is_error else tcp_of(frame, what.ip)
    if tcp is None and not what.is_error:
        return Knowledge.NONE
    return sockets.knowledge_of(flow, tcp)


def tcp_of(frame: bytes, ip: Ip) -> Tcp | None:
    """The TCP header of a packet; None if the packet, or the frame, ends before it does."""
    at = ip.payload_at
    end = ip.at + (word(frame, ip.at + 2) if ip.version == IPV4 else 40 + word(frame, ip.at + 4))
    if at + TCP_BYTES > min(end, len(frame)):
        return None
    return Tcp(
        flags=frame[at + 13],
        sequence=int.from_bytes(frame[at + 4 : at + 8], "big"),
        acknowledged=int.from_bytes(frame[at + 8 : at + 12], "big"),
    )


def _ahead(sequence: int, awaited: int) -> int:
    """How far a sequence number is ahead of another, as RFC 9293 counts: modulo 2^32, signed."""
    ahead = (sequence - awaited) % 2**32
    return ahead - 2**32 if ahead >= 2**31 else ahead
