"""A segment in memory: machines that answer as Linux does, and a clock that runs by asking."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from remainder.config import Balancer, Config, Server
from remainder.diagnose.survey import Place
from remainder.fleet import Part, parts_of
from remainder.flow import ICMP, ICMPV6, Address, Flow, mac_of
from remainder.kernel.netlink import Interface
from remainder.reference.frame import frame_of, internet_checksum
from tests.fleets import service

OWN_MAC = mac_of("02:00:00:00:00:02")
GATEWAY_MAC = mac_of("02:00:00:00:00:01")
INTERFACE = Interface(
    index=2, name="eth0", mac=OWN_MAC, mtu=1500, up=True, kind=None, xdp_mode=None, xdp_program=None
)
VIPS = {4: "203.0.113.10", 6: "2001:db8:113::10"}


def mac(number: int) -> bytes:
    return b"\2\0\0\0\1" + bytes([number])


def of(*texts: str) -> frozenset[Address]:
    return frozenset(map(ip_address, texts))


@dataclass
class Machine:
    """One that answers for its addresses, and accepts what is sent to those it holds."""

    mac: bytes
    answers: frozenset[Address]
    """ARP and neighbour discovery."""
    holds: frozenset[Address] = frozenset()
    """Besides: on its loopback."""
    forwards: bool = False
    networks: tuple[str, ...] = ("192.0.2.0/24", "2001:db8:2::/64")
    known: dict[Address, bytes] = field(default_factory=dict)


@dataclass
class FakeSegment:
    """A ``packets.Wire`` of the host at OWN_MAC."""

    machines: list[Machine]
    own: frozenset[Address]
    filters_sources: bool = False
    lost: int = 0
    """So many frames from us are lost."""
    clock_s: float = 0.0
    sent: list[bytes] = field(default_factory=list)
    _coming: deque[bytes] = field(default_factory=deque)

    def send(self, frame: bytes) -> None:
        self.sent.append(frame)
        if self.lost:
            self.lost -= 1
            return
        if self.filters_sources and frame[12:14] != b"\x08\x06" and _source(frame) not in self.own:
            return
        for machine in self.machines:
            self._coming.extend(_answers(machine, frame, self.own))

    def heard(self, patience_s: float) -> bytes | None:
        if self._coming:
            return self._coming.popleft()
        self.clock_s += max(patience_s, 0.001)
        return None

    def now_s(self) -> float:
        return self.clock_s


def _source(frame: bytes) -> Address:
    four = frame[12:14] == b"\x08\x00"
    return IPv4Address(frame[26:30]) if four else IPv6Address(frame[22:38])


def _answers(machine: Machine, frame: bytes, own: frozenset[Address]) -> Iterable[bytes]:
    kind, group = frame[12:14], bool(frame[0] & 1)
    if kind == b"\x08\x06":
        target = IPv4Address(frame[38:42])
        if target in machine.answers:
            yield _arp(machine, 2, frame[6:12], target, IPv4Address(frame[28:32]))
        return
    if group and frame[20] == ICMPV6 and frame[54] == 135:
        wanted = IPv6Address(frame[62:78])
        if wanted in machine.answers:
            yield _advertisement(machine, wanted, frame)
        return
    if frame[:6] == machine.mac:
        yield from _taken(machine, frame, own)


def _taken(machine: Machine, frame: bytes, own: frozenset[Address]) -> Iterable[bytes]:
    four = frame[12:14] == b"\x08\x00"
    source = _source(frame)
    target = IPv4Address(frame[30:34]) if four else IPv6Address(frame[38:54])
    hops = frame[22] if four else frame[21]
    message = frame[34:42] if four else frame[54:62]
    if target in machine.answers | machine.holds:
        if source in own:
            yield _icmp(machine, target, source, bytes([0 if four else 129, 0]), message[4:])
        elif any(source in ip_network(text) for text in machine.networks):
            yield _wonders(machine, source)
    elif machine.forwards and hops <= 1 and source in own:
        quoted = frame[14:42] if four else frame[14:62]
        from_ = next(item for item in machine.answers if item.version == source.version)
        yield _icmp(machine, from_, source, bytes([11 if four else 3, 0]), bytes(4) + quoted)


def _arp(machine: Machine, operation: int, to: bytes, sender: Address, target: Address) -> bytes:
    return (
        to + machine.mac + bytes.fromhex("0806 0001 0800 06 04") + struct.pack("!H", operation)
        + machine.mac + sender.packed + (to if operation == 2 else bytes(6)) + target.packed
    ).ljust(60, b"\0")  # fmt: skip


def _wonders(machine: Machine, source: Address) -> bytes:
    own = next(item for item in machine.answers if item.version == source.version)
    if source.version == 4:
        return _arp(machine, 1, b"\xff" * 6, own, source)
    message = bytes([135, 0, 0, 0]) + bytes(4) + source.packed + b"\1\1" + machine.mac
    group = bytes.fromhex("ff02 0000 0000 0000 0000 0001 ff") + source.packed[13:]
    return (
        b"\x33\x33" + group[12:] + machine.mac + b"\x86\xdd"
        + struct.pack("!IHBB", 6 << 28, len(message), ICMPV6, 255) + own.packed + group + message
    )  # fmt: skip


def _advertisement(machine: Machine, target: IPv6Address, asked: bytes) -> bytes:
    message = bytes([136, 0, 0, 0, 0x60, 0, 0, 0]) + target.packed + b"\2\1" + machine.mac
    return (
        asked[6:12] + machine.mac + b"\x86\xdd"
        + struct.pack("!IHBB", 6 << 28, len(message), ICMPV6, 255) + target.packed + asked[22:38]
        + message
    )  # fmt: skip


def _icmp(machine: Machine, from_: Address, to: Address, kind: bytes, rest: bytes) -> bytes:
    protocol = ICMP if to.version == 4 else ICMPV6
    frame = frame_of(
        Flow(from_, 0, to, 0, protocol), source_mac=machine.mac, destination_mac=OWN_MAC
    )
    at = 34 if to.version == 4 else 54
    message = kind + struct.pack("!H", internet_checksum(kind + b"\0\0" + rest)) + rest
    return frame[:at] + message


@dataclass
class Lan:
    """A balancer's part, where it stands, and the machines around it."""

    part: Part
    place: Place
    machines: list[Machine]

    def wire(self, *, filters_sources: bool = False, lost: int = 0) -> FakeSegment:
        return FakeSegment(
            self.machines, self.place.own, filters_sources=filters_sources, lost=lost
        )


def lan(*, version: int = 4, servers: int = 2, balancers: int = 1) -> Lan:
    """Servers s1, s2, … at .11, .12, …, all of them right; the gateway is .1, we are .2."""
    base = "192.0.2." if version == 4 else "2001:db8:2::"
    vip = VIPS[version]
    config = Config(
        service=[
            service(
                vip=vip,
                servers=[
                    Server(name=f"s{number}", address=f"{base}{10 + number}")
                    for number in range(1, servers + 1)
                ],
            )
        ],
        balancer=[
            Balancer(name=f"lb{number}", interface="eth0") for number in range(1, balancers + 1)
        ],
    )
    (part,) = parts_of(config, "lb1")
    place = Place(
        interface=INTERFACE,
        own=of(f"{base}2"),
        networks=[ip_network("192.0.2.0/24"), ip_network("2001:db8:2::/64")],
        gateways=of(f"{base}1"),
    )
    machines = [Machine(GATEWAY_MAC, of(f"{base}1"), forwards=True)]
    machines += [
        Machine(mac(number), of(f"{base}{10 + number}"), holds=of(vip))
        for number in range(1, servers + 1)
    ]
    return Lan(part, place, machines)
