"""Does a server answer for the VIP?  Ping it the way a balanced packet would reach it.

An echo request to the VIP, sent to the server's own MAC, from our own address.
A diagnosis for people when a balancer starts, and when its file has new servers;
the calculation never uses it (claims 3, 4).  Without it the most common mistake
with direct server return, a VIP missing on a server's loopback, is a silent
black hole.
"""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from remainder.flow import ICMP, ICMPV6, Address, Flow
from remainder.kernel import netlink
from remainder.kernel.netlink import Interface
from remainder.plan import Plan
from remainder.reference.frame import frame_of

ANSWER_S: Final = 0.7
ASK_AGAIN_S: Final = 0.2
_ETH_P_ALL: Final = 3
_ECHO_REPLY: Final = {4: 0, 6: 129}
_PROTOCOL: Final = {4: ICMP, 6: ICMPV6}
_AT: Final = {4: (23, 26, 34), 6: (20, 22, 54)}  # protocol, source address, ICMP in a frame


@dataclass(frozen=True, slots=True)
class Silent:
    """A server that did not answer for a VIP of its services."""

    service: str
    server: str
    address: Address
    vip: Address

    def __str__(self) -> str:
        prefix = 32 if self.vip.version == 4 else 128
        return (
            f"server {self.server!r} of service {self.service!r} ({self.address}) does not answer "
            f"a ping of {self.vip}; if its loopback lacks the VIP, its clients get no answers: "
            f"run `ip addr add {self.vip}/{prefix} dev lo` on the server"
        )


def found_servers(plan: Plan, macs: Mapping[Address, bytes]) -> frozenset[tuple[Address, Address]]:
    """(address, VIP) of every resolved server: those that can be pinged."""
    return frozenset((silent.address, silent.vip) for silent in _servers(plan, macs))


def _servers(plan: Plan, macs: Mapping[Address, bytes]) -> list[Silent]:
    vips = {planned.name: planned.choice.match.address for planned in plan.choices}
    return [
        Silent(service, name, address, vips[service])
        for service, name, address in plan.reached
        if address in macs
    ]


def silent_servers(
    plan: Plan,
    interface: Interface,
    macs: Mapping[Address, bytes],
    *,
    without: Collection[tuple[Address, Address]] = (),
) -> list[Silent]:
    """Every resolved server that does not answer for its VIP within 0.7 s.

    ``without`` holds those asked before, as (address, VIP).  Empty if pinging is
    impossible: without CAP_NET_RAW, or without an address of our own on the interface.
    """
    here = netlink.addresses_on(interface.index)
    own = {
        version: [
            address
            for address in here
            if address.version == version and address not in plan.vips and not address.is_link_local
        ]
        for version in (4, 6)
    }
    waiting: dict[tuple[Address, bytes], Silent] = {}
    for silent in _servers(plan, macs):
        if own[silent.vip.version] and (silent.address, silent.vip) not in without:
            waiting.setdefault((silent.vip, macs[silent.address]), silent)
    if not waiting:
        return []
    try:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL)) as packets:
            packets.bind((interface.name, 0))
            _ask(packets, waiting, interface.mac, own)
    except OSError:  # not allowed: no CAP_NET_RAW, or the systemd unit forbids it
        return []
    return list(waiting.values())


def _ask(
    packets: socket.socket,
    waiting: dict[tuple[Address, bytes], Silent],
    mac: bytes,
    own: Mapping[int, list[Address]],
) -> None:
    """Ask until all have answered or time is up; remove from ``waiting`` those that answer."""
    identifier = os.getpid() & 0xFFFF
    deadline_s = time.monotonic() + ANSWER_S
    again_s = 0.0
    while waiting and (now_s := time.monotonic()) < deadline_s:
        if now_s >= again_s:
            again_s = now_s + ASK_AGAIN_S
            for vip, server_mac in waiting:
                flow = Flow(own[vip.version][0], identifier, vip, 0, _PROTOCOL[vip.version])
                packets.send(frame_of(flow, source_mac=mac, destination_mac=server_mac))
        if select.select([packets], [], [], 0.05)[0]:
            _heard(packets.recv(2048), waiting)


def _heard(frame: bytes, waiting: dict[tuple[Address, bytes], Silent]) -> None:
    """An answer counts for the VIP it comes from and the MAC it was sent by.

    An answer through a router carries the router's MAC and counts for no server,
    so such a server is reported although nothing may be wrong with it.
    """
    version = {0x0800: 4, 0x86DD: 6}.get(int.from_bytes(frame[12:14], "big"))
    if version is None or len(frame) < _AT[version][2] + 8:
        return
    protocol_at, source_at, icmp_at = _AT[version]
    if frame[protocol_at] != _PROTOCOL[version] or frame[icmp_at] != _ECHO_REPLY[version]:
        return
    size = 4 if version == 4 else 16
    for vip, server_mac in list(waiting):
        if vip.packed == frame[source_at : source_at + size] and server_mac == frame[6:12]:
            del waiting[vip, server_mac]
