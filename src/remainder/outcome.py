"""What became of a packet: every packet has exactly one outcome, every outcome a name.

Claims: none of its own; this is how an operator sees the others at work.
Twin: enum outcome in bpf/abi.h, same names, same order; the page is docs/packets.md.
Rule: outcomes sum to packets seen.
"""

from __future__ import annotations

import enum
from typing import Literal, Self

Verdict = Literal["tx", "pass", "drop"]
"""What the kernel does: sends the frame back out, leaves it to the stack, drops it."""


class Outcome(enum.StrEnum):
    """The name of the counter, what the kernel does, and whether non-zero is normal.

    The order is that of the table in docs/packets.md; a member is the string of its name.
    """

    verdict: Verdict
    normal: str
    """A sentence for operators: what the packet was, and whether non-zero is normal."""

    def __new__(cls, name: str, verdict: Verdict, normal: str) -> Self:
        """A member is a string, and knows its verdict and its sentence."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.verdict = verdict
        member.normal = normal
        return member

    FORWARDED = (
        "forwarded",
        "tx",
        "Normal: sent to its server.",
    )
    FORWARDED_ERROR = (
        "forwarded_error",
        "tx",
        "Normal: an ICMP error, sent to the server whose session it quotes.",
    )
    ECHO_ANSWERED = (
        "echo_answered",
        "tx",
        "Normal: a ping of a VIP, answered by the balancer itself.",
    )
    NOT_IP = (
        "not_ip",
        "pass",
        "Normal: ARP to us, LLDP and the like, left to the stack.",
    )
    OTHER_MAC = (
        "other_mac",
        "pass",
        "Normal: broadcast, multicast and flooded frames, left to the stack.",
    )
    NOT_VIP = (
        "not_vip",
        "pass",
        "Normal: traffic of the balancer itself, left to the stack.",
    )
    NO_SERVICE = (
        "no_service",
        "pass",
        "Normal in small numbers: scans of other ports of a VIP, strange pings.",
    )
    MALFORMED = (
        "malformed",
        "pass",
        "Normal in small numbers on the open Internet: a header is cut short.",
    )
    TOO_MANY_HEADERS = (
        "too_many_headers",
        "pass",
        "Rare: a packet with more than four IPv6 extension headers.",
    )
    FRAGMENT_DROPPED = (
        "fragment_dropped",
        "drop",
        "Look into it: somebody sends fragments to a service that cannot take them.",
    )
    UNRESOLVED = (
        "unresolved",
        "drop",
        "Look into it: a server does not answer ARP or neighbour discovery.",
    )
    NO_OWNER = (
        "no_owner",
        "drop",
        "Never: a slot points at nobody, the table is broken.",
    )
    TTL_EXPIRED = (
        "ttl_expired",
        "drop",
        "Normal in small numbers (traceroute); many: balancers pass packets round in a circle.",
    )
    KEPT = (
        "kept",
        "pass",
        "Normal: this member owns it.",
    )
    LEFT = (
        "left",
        "drop",
        "Normal: another member owns it, and has it too.",
    )
    NEIGHBOUR_ANSWERED = (
        "neighbour_answered",
        "tx",
        "Normal: who asks for a shared address is told the cluster's MAC address.",
    )
    RETURNED = (
        "returned",
        "pass",
        "Normal: sent through the router that the calculation names.",
    )
    ON_LINK = (
        "on_link",
        "pass",
        "Normal: to neighbours on the segment, broadcast, multicast.",
    )
