"""What may be taken away from a host in memory, and what stands there."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import Final

from remainder.roles.node import RunningNode
from tests.unit.roles.machine import Machine, back, balancer, web

ASSIGNED: Final = "assign_vips = true\n"
VIP: Final = ip_address("203.0.113.10")
S11: Final = ip_address("192.0.2.11")
S12: Final = ip_address("192.0.2.12")


def started(machine: Machine) -> RunningNode:
    """A balancer that holds its VIP, and a sender, both at peace."""
    machine.write(web(11, 12), balancer() + ASSIGNED, back())
    node = machine.start()
    assert node.tend()
    machine.warned.clear()
    machine.said.clear()
    return node


Loss = Callable[[Machine], None]


def a_cable_out_and_in(machine: Machine) -> None:
    machine.kernel.change("eth0", carrier=False)
    machine.kernel.change("eth0", carrier=True)


def a_link_down_and_up(machine: Machine) -> None:
    machine.kernel.change("eth0", up=False, carrier=False)
    machine.kernel.change("eth0", up=True, carrier=True)


def neighbours_flushed(machine: Machine) -> None:
    machine.eth0.managed.clear()


def a_router_flushed(machine: Machine) -> None:
    machine.eth1.managed.clear()


def a_vip_removed(machine: Machine) -> None:
    machine.eth0.addresses.discard(VIP)
    machine.eth0.put.discard(VIP)


def a_program_detached(machine: Machine) -> None:
    machine.kernel.planes["n", "balancer"].attached = False


def a_senders_program_detached(machine: Machine) -> None:
    machine.kernel.planes["n", "sender"].attached = False


def pins_removed(machine: Machine) -> None:
    for met in machine.kernel.planes.values():
        met.pinned = False


def another_own_mac(machine: Machine) -> None:
    machine.kernel.change("eth0", mac=b"\2\0\0\0\0\x99")


def a_range_added(machine: Machine) -> None:
    machine.eth1.networks.append(ip_network("192.0.2.128/25"))


LOSSES: Final = [
    a_cable_out_and_in,
    a_link_down_and_up,
    neighbours_flushed,
    a_router_flushed,
    a_vip_removed,
    a_program_detached,
    a_senders_program_detached,
    pins_removed,
    another_own_mac,
    a_range_added,
]


def standing(machine: Machine) -> object:
    """What a role wants of its host, as it stands there."""
    planes = {
        role: (met.attached, met.pinned, met.own_mac, met.on_link, met.macs, met.numbers)
        for (_, role), met in machine.kernel.planes.items()
    }
    links = {
        name: (set(link.managed), set(link.addresses), set(link.put))
        for name, link in machine.kernel.links.items()
    }
    return planes, links
