"""What is wrong with a segment, in sentences: from what it said to what to do.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from remainder.diagnose.survey import Place, Survey
from remainder.fleet import Part
from remainder.flow import Address
from remainder.plan import Role

WORDS: Final[dict[Role, str]] = {
    "balancer": "server",
    "member": "member",
    "sender": "router",
    "server": "server",
}
"""Whom a role chooses between."""

_PREFIX: Final = {4: 32, 6: 128}
_QUESTION: Final = {4: "ARP", 6: "neighbour discovery"}
_QUIET: Final = "`sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2`"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong on the segment; equal to itself when it is found again."""

    id: str
    sentence: str


@dataclass(frozen=True, slots=True)
class _Server:
    """One that was asked for, with the first service that has it."""

    service: str
    name: str
    address: Address
    vip: Address


def silent(part: Part, found: Survey) -> list[Problem]:
    """Servers that answer neither ARP nor neighbour discovery."""
    return [
        Problem(
            "server-silent",
            f"{WORDS[part.role]} {server.name!r} ({server.address}) does not answer "
            f"{_QUESTION[server.address.version]}",
        )
        for server in _by_address(part)
        if server.address in found.asked and server.address not in found.told
    ]


def unready(part: Part, place: Place, found: Survey) -> list[Problem]:
    """Servers that do not accept what is sent to their VIPs."""
    problems = []
    for server in _by_vip(part):
        gateways = _gateways(place, found, server.address.version)
        for mac in sorted(found.told.get(server.address, ())):
            pair = server.vip, mac
            if pair not in found.pinged or pair in found.ponged:
                continue
            if mac in gateways:
                problems.append(_is_gateway(server, mac, gateways[mac]))
            elif pair in found.expired:
                problems.append(_forwards(server, mac))
            else:
                problems.append(_lacks_vip(server))
    return list(dict.fromkeys(problems))


def taken(part: Part, place: Place, found: Survey) -> list[Problem]:
    """Whoever answers for a VIP, but should not."""
    problems = []
    for vip in sorted(part.plan.vips, key=lambda item: (item.version, item)):
        machines = _machines(part, found, vip.version)
        gateways = _gateways(place, found, vip.version)
        # A member answers with the cluster's MAC, see bpf/neighbour.h.
        macs = sorted(found.told.get(vip, set()) - {part.cluster_mac})
        balancers = {mac for mac in macs if mac in machines and machines[mac].name in part.beside}
        strangers = [mac for mac in macs if mac not in machines]
        if len(strangers) + len(balancers) <= len(part.beside):
            strangers = []
        servers = [mac for mac in macs if mac in machines and mac not in balancers]
        problems += [_server_took(part, machines[mac], vip, mac) for mac in servers]
        problems += [_stranger_took(vip, mac, gateways.get(mac)) for mac in strangers]
    return problems


def filtered(found: Survey) -> list[Problem]:
    """Frames with a source address that is not ours, which do not get through."""
    return [
        Problem(
            "source-filtered",
            f"servers answer pings from this host, but none received one with a foreign source "
            f"address ({source}): probably port security or anti-spoofing of a switch or "
            f"hypervisor drops what a balancer forwards; allow this port any source address "
            f"(port security off, or allowed address pairs)",
        )
        for version, source in sorted(found.foreign.items())
        if not found.wondered.get(version)
    ]


def problems_of(part: Part, place: Place, found: Survey) -> list[Problem]:
    """All but silence, which ``run`` knows from the kernel."""
    return [*unready(part, place, found), *taken(part, place, found), *filtered(found)]


def _machines(part: Part, found: Survey, version: int) -> dict[bytes, _Server]:
    """MAC → server, by its address of that version if it has one."""
    servers = sorted(_by_address(part), key=lambda item: item.address.version == version)
    return {mac: server for server in servers for mac in found.told.get(server.address, ())}


def _gateways(place: Place, found: Survey, version: int) -> dict[bytes, Address]:
    """MAC → gateway, by its address of that version if it has one."""
    gateways = sorted(place.gateways, key=lambda item: item.version == version)
    return {mac: gateway for gateway in gateways for mac in found.told.get(gateway, ())}


def _by_address(part: Part) -> Iterator[_Server]:
    seen: set[Address] = set()
    for server in _servers(part):
        if server.address not in seen:
            seen.add(server.address)
            yield server


def _by_vip(part: Part) -> Iterator[_Server]:
    seen: set[tuple[Address, Address]] = set()
    for server in _servers(part):
        if (server.address, server.vip) not in seen:
            seen.add((server.address, server.vip))
            yield server


def _servers(part: Part) -> Iterator[_Server]:
    vips = {planned.name: planned.choice.match.address for planned in part.plan.choices}
    for service, name, address in part.plan.reached:
        yield _Server(service, name, address, vips[service])


def _lacks_vip(server: _Server) -> Problem:
    return Problem(
        "server-lacks-vip",
        f"server {server.name!r} of service {server.service!r} ({server.address}) does not answer "
        f"a ping of {server.vip}; if its loopback lacks the VIP, its clients get no answers: "
        f"run `{_add_vip(server.vip)}` on the server",
    )


def _forwards(server: _Server, mac: bytes) -> Problem:
    setting = "net.ipv4.ip_forward" if server.vip.version == 4 else "net.ipv6.conf.all.forwarding"
    return Problem(
        "server-forwards-vip",
        f"server {server.name!r} of service {server.service!r} ({server.address}, {mac.hex(':')}) "
        f"forwards packets for {server.vip} instead of accepting them, so they circle until their "
        f"TTL ends; on the server, run `{_add_vip(server.vip)}` and `sysctl -w {setting}=0`",
    )


def _is_gateway(server: _Server, mac: bytes, gateway: Address) -> Problem:
    return Problem(
        "server-is-gateway",
        f"server {server.name!r} of service {server.service!r} ({server.address}) has the MAC "
        f"address of the gateway {gateway} ({mac.hex(':')}) and does not answer for {server.vip}, "
        f"so its packets go to the gateway; fix its address, or turn off proxy ARP on the gateway",
    )


def _server_took(part: Part, server: _Server, vip: Address, mac: bytes) -> Problem:
    cure = (
        f"on that machine, run {_QUIET}"
        if vip.version == 4
        else f"on that machine, move the VIP to the loopback: `{_add_vip(vip)}`"
    )
    return Problem(
        "vip-taken",
        f"{WORDS[part.role]} {server.name!r} ({server.address}, {mac.hex(':')}) answers "
        f"{_QUESTION[vip.version]} for {vip}, so hosts on the segment send to it directly; {cure}",
    )


def _stranger_took(vip: Address, mac: bytes, gateway: Address | None) -> Problem:
    if gateway is not None:
        who = f"the gateway {gateway} ({mac.hex(':')})"
        cure = "turn off proxy ARP there, or take the VIP from it"
    else:
        who = f"a machine at {mac.hex(':')}, no server of the file,"
        quiet = f"run {_QUIET} on it" if vip.version == 4 else "move the VIP to its loopback"
        cure = f"take the VIP from it or, if it should have it, {quiet}"
    return Problem(
        "vip-taken",
        f"{who} answers {_QUESTION[vip.version]} for {vip}, so hosts on the segment send to it "
        f"instead; {cure}",
    )


def _add_vip(vip: Address) -> str:
    return f"ip addr add {vip}/{_PREFIX[vip.version]} dev lo"
