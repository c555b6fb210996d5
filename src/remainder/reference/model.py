"""What happens to a packet: docs/packets.md as a program, a function per section.

START READING AT ``process``, with the page beside it; sections 1 to 5 are in parse.py.
Claims: 1-14, 17-27, 31-33.
Twin: the balancer's program in bpf/.  They share no code, only the page; the test
suite feeds both the same frames and compares the outcome and every byte.
Rule: clear before fast; a frame goes in, a value comes out, nothing is remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TYPE_CHECKING, Final

from remainder.flow import EXTENSION_HEADERS, Address, Flow, address_of, is_one_machine, mac_of
from remainder.outcome import Outcome
from remainder.plan import Plan, PlannedChoice, Role
from remainder.reference.neighbour import told_neighbour
from remainder.reference.parse import (
    ECHO_REPLY,
    ECHO_REQUEST,
    ETHERNET_BYTES,
    ICMP_OF,
    IP_BYTES,
    IPV4,
    IPV6,
    DecidedError,
    Ip,
    Packet,
    ethernet,
    packet,
    word,
)
from remainder.reference.second_chance import Passed, chance
from remainder.reference.sockets import NO_SOCKETS, Sockets, knowledge_of

ECHO_TTL: Final = 64


@dataclass(frozen=True)
class Node:
    """What a balancer knows of its segment.  MAC and other addresses may be given as text."""

    mac: bytes
    """its own MAC address, 6 bytes"""
    macs: Mapping[Address, bytes]
    """server address → MAC address, 6 bytes; a server that is missing is not resolved"""
    cluster_mac: bytes = bytes(6)
    """of a member: what reaches every member, 6 bytes"""
    on_link: Sequence[IPv4Network | IPv6Network] = ()
    """of a sender: the ranges of its own segment"""
    sockets: Sockets = NO_SOCKETS
    """of a server: the sessions that it knows"""
    accepted_macs: Collection[bytes] = field(default=(), kw_only=True)
    """of a balancer: other MAC addresses that are its own, 6 bytes each"""
    strange_macs: Collection[bytes] = field(default=(), kw_only=True)
    """MAC addresses of the same machine that are not the balancer's"""
    vlan: int | None = field(default=None, kw_only=True)
    """the ID of the VLAN tag that its frames carry; None: they carry none"""

    if TYPE_CHECKING:

        def __init__(  # noqa: PLR0913  (keywords with defaults)
            self,
            mac: bytes | str,
            macs: Mapping[Address, bytes] | Mapping[str, str] | Mapping[Address, bytes | str],
            cluster_mac: bytes | str = ...,
            on_link: Sequence[IPv4Network | IPv6Network] = (),
            sockets: Sockets = ...,
            *,
            accepted_macs: Collection[bytes] = (),
            strange_macs: Collection[bytes] = (),
            vlan: int | None = None,
        ) -> None: ...

    def __post_init__(self) -> None:
        macs = {
            address_of(address, "macs"): mac_of(mac, "macs") for address, mac in self.macs.items()
        }
        object.__setattr__(self, "mac", mac_of(self.mac))
        object.__setattr__(self, "macs", macs)
        object.__setattr__(self, "cluster_mac", mac_of(self.cluster_mac, "cluster_mac"))


@dataclass(frozen=True)
class Result:
    """What became of a frame."""

    outcome: Outcome
    frame: bytes | None = None
    """the new bytes of a frame that is sent or changed, else None: it stays as it is"""
    choice: str | None = None
    """the name of the choice whose rules decided, if the packet came to one"""
    owner: str | None = None
    """the name of the owner of the slot, if the packet came to one"""


@dataclass(frozen=True)
class _Owner:
    """Whom a packet is for, and where that is."""

    choice: str
    name: str
    mac: bytes


def process(plan: Plan, node: Node, frame: bytes) -> Result:
    """What a node does with one Ethernet frame, in the role of its plan."""
    if len(frame) < ETHERNET_BYTES:
        return Result(Outcome.MALFORMED)
    try:
        return _ROLES[plan.role](plan, node, frame)
    except DecidedError as decided:
        return Result(decided.outcome, choice=decided.choice, owner=decided.owner)


def _balance(plan: Plan, node: Node, frame: bytes) -> Result:
    """Sections 1 to 9."""
    if frame[:6] != node.mac and frame[:6] not in node.accepted_macs:
        lost = frame[:6] in node.strange_macs and _destination(node, frame) in plan.vips
        return Result(Outcome.OTHER_OWN_MAC if lost else Outcome.OTHER_MAC)
    version, ip_at = ethernet(frame, node.vlan)
    if version not in plan.families:
        return Result(Outcome.NOT_VIP)
    return _decide(plan, node, frame, packet(frame, version, ip_at))


def _destination(node: Node, frame: bytes) -> Address | None:
    """Section 1, step 2: where the fixed IP header says that it goes; None if there is none."""
    try:
        version, ip_at = ethernet(frame, node.vlan)
    except DecidedError:
        return None
    header = frame[ip_at : ip_at + IP_BYTES[version]]
    if len(header) < IP_BYTES[version] or header[0] >> 4 != version:
        return None
    return IPv4Address(header[16:20]) if version == IPV4 else IPv6Address(header[24:40])


def _select(plan: Plan, node: Node, frame: bytes) -> Result:
    """Section 10: keep what is our own, leave the rest to the other members."""
    answer = told_neighbour(
        frame, mac=node.mac, cluster_mac=node.cluster_mac, shared=plan.vips, vlan=node.vlan
    )
    if answer is not None:
        return Result(Outcome.NEIGHBOUR_ANSWERED, answer)
    if frame[:6] != node.cluster_mac:
        return Result(Outcome.OTHER_MAC)
    version, ip_at = ethernet(frame, node.vlan)
    if version not in plan.families:
        return Result(Outcome.NOT_VIP)
    found = _find(plan, packet(frame, version, ip_at))
    if isinstance(found, Result):
        return found
    planned, flow = found
    owner = planned.owner(planned.key.number(flow, plan.secret) % planned.slots).name
    if owner != plan.node:
        return Result(Outcome.LEFT, choice=planned.name, owner=owner)
    return Result(Outcome.KEPT, node.mac + frame[6:], choice=planned.name, owner=owner)


def _return(plan: Plan, node: Node, frame: bytes) -> Result:
    """Section 11: out through the router that handled the way in."""
    if frame[0] & 1:
        return Result(Outcome.ON_LINK)
    version, ip_at = ethernet(frame, node.vlan)
    if version not in plan.families:
        return Result(Outcome.NOT_VIP)
    what = packet(frame, version, ip_at)
    if any(what.ip.destination in network for network in node.on_link):
        return Result(Outcome.ON_LINK)
    if what.flow is None:
        return Result(Outcome.NOT_VIP)
    turned = what.flow.reversed()
    if what.flow.protocol == ICMP_OF[version]:
        turned = replace(turned, src_port=what.flow.src_port, dst_port=what.flow.dst_port)
    found = _find(plan, replace(what, flow=turned))
    if isinstance(found, Result):
        return found
    planned, flow = found
    owner = _owner(planned, flow, plan, node)
    return Result(Outcome.RETURNED, owner.mac + frame[6:], owner.choice, owner.name)


def _serve(plan: Plan, node: Node, frame: bytes) -> Result:
    """Section 12: keep what is new or known, pass on the rest to whom it belonged before."""
    if frame[:6] != node.mac:
        return Result(Outcome.OTHER_MAC)
    version, ip_at = ethernet(frame, node.vlan)
    if version not in plan.families:
        return Result(Outcome.NOT_VIP)
    what = packet(frame, version, ip_at)
    found = _find(plan, what)
    if isinstance(found, Result):
        stopped = found.outcome is Outcome.FRAGMENT_DROPPED
        return Result(Outcome.KEPT, choice=found.choice) if stopped else found
    planned, flow = found
    knowledge = knowledge_of(frame, what, flow, node.sockets)
    owners = [answer.owner for answer in planned.answers(flow, plan.secret)]
    outcome, passed = chance(owners, plan.node, knowledge, ttl=frame[_ttl_at(what.ip)])
    if passed is not None:
        return _passed_on(planned, passed, node, frame, what.ip)
    return Result(outcome, choice=planned.name)


def _passed_on(planned: PlannedChoice, passed: Passed, node: Node, frame: bytes, ip: Ip) -> Result:
    """Section 12: to another of the way, with no more TTL than there are chances."""
    owner = passed.to
    mac = node.macs.get(owner.address) if owner.address is not None else None
    if mac is None:
        return Result(Outcome.UNRESOLVED, choice=planned.name, owner=owner.name)
    onward = _with_ttl(frame, ip, passed.ttl)
    return Result(Outcome.PASSED_ON, mac + node.mac + onward[12:], planned.name, owner.name)


_ROLES: Final[Mapping[Role, Callable[[Plan, Node, bytes], Result]]] = {
    "balancer": _balance,
    "member": _select,
    "sender": _return,
    "server": _serve,
}


def _find(plan: Plan, what: Packet) -> tuple[PlannedChoice, Flow] | Result:
    """Sections 6 and 7 for members and senders, who answer no pings."""
    flow = what.flow
    if flow is None:
        known = what.ip.destination in plan.vips
        return Result(Outcome.NO_SERVICE if known else Outcome.NOT_VIP)
    planned = plan.find(flow.dst_ip, flow.dst_port, flow.protocol)
    if planned is None and flow.dst_ip not in plan.vips:
        return Result(Outcome.NOT_VIP)
    if what.is_fragment and not _is_forwarded_fragment(planned, flow):
        return _stopped_fragment(plan, planned, flow)
    if planned is None:
        return Result(Outcome.NO_SERVICE)
    return planned, flow


def read_flow(frame: bytes, vlan: int | None = None) -> Flow | None:
    """The flow that a frame belongs to, or quotes, whatever its destination; ``vlan`` is its tag.

    None where no plan could make anything of the frame: not IP, malformed, too
    many headers, or an error about a packet that its destination did not send.
    """
    try:
        version, ip_at = ethernet(frame, vlan)
        return packet(frame, version, ip_at).flow
    except DecidedError:
        return None


def _decide(plan: Plan, node: Node, frame: bytes, what: Packet) -> Result:
    """Section 6, which asks 7, 8 and 9."""
    ip, flow = what.ip, what.flow
    if ip.destination not in plan.vips:
        return Result(Outcome.NOT_VIP)
    if flow is None:
        return Result(Outcome.NO_SERVICE)
    planned = plan.find(flow.dst_ip, flow.dst_port, flow.protocol)
    if what.is_fragment and not _is_forwarded_fragment(planned, flow):
        large_ping = _is_part_of_a_ping(what) and not _names_protocol(planned)
        stopped = _stopped_fragment(plan, planned, flow)
        return Result(Outcome.ECHO_TOO_LARGE) if large_ping else stopped
    if not _names_protocol(planned) and _is_answerable_echo(plan, frame, ip):
        return Result(Outcome.ECHO_ANSWERED, _echo_reply(frame, ip))
    if planned is None:
        return Result(Outcome.NO_SERVICE)
    owner = _owner(planned, flow, plan, node)
    if not _ttl_to_spend(frame, ip):
        raise DecidedError(Outcome.TTL_EXPIRED, choice=owner.choice, owner=owner.name)
    onward = _with_ttl(frame, ip, frame[_ttl_at(ip)] - 1)
    sent = Outcome.FORWARDED_ERROR if what.is_error else Outcome.FORWARDED
    return Result(sent, owner.mac + frame[:6] + onward[12:], owner.choice, owner.name)


def _is_forwarded_fragment(planned: PlannedChoice | None, flow: Flow) -> bool:
    """Section 7, step 1."""
    return (
        planned is not None
        and planned.choice.fragments == "forward"
        and not (flow.version == IPV6 and flow.protocol in EXTENSION_HEADERS)
    )


def _stopped_fragment(plan: Plan, planned: PlannedChoice | None, flow: Flow) -> Result:
    """Section 7, steps 2 to 4."""
    if planned is not None:
        return Result(Outcome.FRAGMENT_DROPPED, choice=planned.name)
    for other in plan.by_match:
        has_port = other.port is not None
        takes_protocol = other.protocol in (flow.protocol, None)
        if other.address == flow.dst_ip and has_port and takes_protocol:
            return Result(Outcome.FRAGMENT_DROPPED)
    return Result(Outcome.NO_SERVICE)


def _names_protocol(planned: PlannedChoice | None) -> bool:
    """Section 8: only such a service takes echo requests."""
    return planned is not None and planned.choice.match.protocol is not None


def _is_part_of_a_ping(what: Packet) -> bool:
    """Section 8: a fragment of ICMP, which carries little else that is so large."""
    return not what.is_error and what.ip.protocol == ICMP_OF[what.ip.version]


def _is_answerable_echo(plan: Plan, frame: bytes, ip: Ip) -> bool:
    """Section 8: an echo request, whole and plain, from one other machine."""
    is_plain = not ip.is_fragment and ip.payload_at - ip.at == IP_BYTES[ip.version]
    if not is_plain or ip.protocol != ICMP_OF[ip.version]:
        return False
    kind, code = frame[ip.payload_at], frame[ip.payload_at + 1]
    if kind != ECHO_REQUEST[ip.version] or code != 0:
        return False
    asked_by_a_group = frame[6] & 1
    return not asked_by_a_group and ip.source not in plan.vips and is_one_machine(ip.source)


def _echo_reply(frame: bytes, ip: Ip) -> bytes:
    """Section 8: the answer to an echo request that has no options or extension headers."""
    ttl_at, source_at = (ip.at + 8, ip.at + 12) if ip.version == IPV4 else (ip.at + 7, ip.at + 8)
    icmp_at = ip.payload_at
    reply = bytearray(frame)
    reply[:12] = frame[6:12] + frame[:6]
    reply[ttl_at] = ECHO_TTL
    reply[source_at:icmp_at] = ip.destination.packed + ip.source.packed
    reply[icmp_at] = ECHO_REPLY[ip.version]
    if ip.version == IPV4:
        _update_checksum(frame, reply, at=ip.at + 10, covers=ttl_at)
    _update_checksum(frame, reply, at=icmp_at + 2, covers=icmp_at)
    return bytes(reply)


def _update_checksum(frame: bytes, reply: bytearray, *, at: int, covers: int) -> None:
    """RFC 1624, equation 3, for the 16-bit word at ``covers``."""
    inverted = 0xFFFF ^ word(frame, at)
    old, new = word(frame, covers), word(reply, covers)
    checksum = 0xFFFF ^ _ones_complement_sum(inverted, 0xFFFF ^ old, new)
    reply[at : at + 2] = checksum.to_bytes(2, "big")


def _ones_complement_sum(*words: int) -> int:
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def _owner(planned: PlannedChoice, flow: Flow, plan: Plan, node: Node) -> _Owner:
    """Section 9, steps 1 to 4: key, slot, owner, and its MAC address."""
    number = int(planned.table[planned.key.number(flow, plan.secret) % planned.slots])
    if number >= len(planned.owners):
        raise DecidedError(Outcome.NO_OWNER, choice=planned.name)
    owner = planned.owners[number]
    mac = node.macs.get(owner.address) if owner.address is not None else None
    if mac is None:
        raise DecidedError(Outcome.UNRESOLVED, choice=planned.name, owner=owner.name)
    return _Owner(planned.name, owner.name, mac)


def _ttl_at(ip: Ip) -> int:
    return ip.at + (8 if ip.version == IPV4 else 7)


def _ttl_to_spend(frame: bytes, ip: Ip) -> bool:
    """Section 9, step 5."""
    return frame[_ttl_at(ip)] > 1


def _with_ttl(frame: bytes, ip: Ip, ttl: int) -> bytes:
    """Section 9, step 5: the checksum of IPv4 follows."""
    onward = bytearray(frame)
    onward[_ttl_at(ip)] = ttl
    if ip.version == IPV4:
        _update_checksum(frame, onward, at=ip.at + 10, covers=_ttl_at(ip))
    return bytes(onward)
