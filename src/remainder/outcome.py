"""What happened to a packet: every packet has exactly one outcome, every outcome a name.

Claims: none of its own; this is how an operator sees the others at work.
Twin: enum outcome in bpf/abi.h, same names, same order; the page is docs/packets.md.
Rule: outcomes sum to packets seen.
"""

from __future__ import annotations

import enum
from typing import Literal, Self

Verdict = Literal["tx", "pass", "drop"]
"""What the kernel does: sends the frame back out, passes it to the network stack, drops it."""


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
        "Normal: ARP, LLDP and the like, passed to the network stack.",
    )
    OTHER_MAC = (
        "other_mac",
        "pass",
        "Normal: broadcast, multicast and flooded frames, passed to the network stack.",
    )
    NOT_VIP = (
        "not_vip",
        "pass",
        "Normal: the balancer's own traffic, passed to the network stack.",
    )
    NO_SERVICE = (
        "no_service",
        "pass",
        "Normal in small numbers: scans of other ports of a VIP, odd pings.",
    )
    MALFORMED = (
        "malformed",
        "pass",
        "Normal in small numbers on the open Internet: truncated headers.",
    )
    TOO_MANY_HEADERS = (
        "too_many_headers",
        "pass",
        "Rare: a packet with more than four IPv6 extension headers.",
    )
    FRAGMENT_DROPPED = (
        "fragment_dropped",
        "drop",
        "Investigate: fragments sent to a service that cannot take them.",
    )
    UNRESOLVED = (
        "unresolved",
        "drop",
        "Investigate: a server does not answer ARP or neighbour discovery.",
    )
    NO_OWNER = (
        "no_owner",
        "drop",
        "Never normal: a slot has no owner, the table is broken.",
    )
    TTL_EXPIRED = (
        "ttl_expired",
        "drop",
        "Normal in small numbers (traceroute); many: a loop between balancers.",
    )
    KEPT = (
        "kept",
        "pass",
        "Normal: this member owns it.",
    )
    LEFT = (
        "left",
        "drop",
        "Normal: owned by another member, which also received it.",
    )
    NEIGHBOUR_ANSWERED = (
        "neighbour_answered",
        "tx",
        "Normal: ARP or ND request for a shared address, answered with the cluster's MAC.",
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
    ECHO_TOO_LARGE = (
        "echo_too_large",
        "pass",
        "Normal in small numbers: a ping of a VIP larger than one frame, passed in fragments.",
    )
    OTHER_OWN_MAC = (
        "other_own_mac",
        "pass",
        "Never normal: a frame for a VIP, sent to a MAC address of another interface here.",
    )
    OTHER_VLAN = (
        "other_vlan",
        "pass",
        "Normal on a trunk: a frame of another VLAN than the file's, left alone.",
    )
    KEPT_NEW = (
        "kept_new",
        "pass",
        "Normal after a change: a new session (SYN) of a slot that changed its owner.",
    )
    KEPT_KNOWN = (
        "kept_known",
        "pass",
        "Normal after a change: a session known here, of a slot that changed its owner.",
    )
    KEPT_EARLIER = (
        "kept_earlier",
        "pass",
        "Normal after a change: a session known here, which another node would own now.",
    )
    KEPT_UNKNOWN = (
        "kept_unknown",
        "pass",
        "Normal in small numbers: nobody on its way knows the session; the stack resets it.",
    )
    KEPT_BLIND = (
        "kept_blind",
        "pass",
        "Investigate: no listener of the service is visible here, so nothing is passed on.",
    )
    PASSED_ON = (
        "passed_on",
        "tx",
        "Normal after a change: sent to the server that an earlier calculation names.",
    )
