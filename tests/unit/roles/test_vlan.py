"""A node that serves a VLAN looks for its servers on the interface of that VLAN."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface
from typing import Final

import pytest

from remainder.errors import HostError
from remainder.kernel.fake import FakeLink
from tests.unit.roles.machine import MACS, Machine, back, balancer, web

VIP = ip_address("203.0.113.10")
S1 = ip_address("192.0.2.1")
ON_VLAN = "vlan = 5\n"


def vlan_interface(machine: Machine, vlan: int = 5) -> FakeLink:
    """Of VLAN 5 above eth0, as ``ip link`` makes it."""
    made = machine.kernel.link(f"eth0.{vlan}", ip_interface("192.0.2.5/24"), kind="vlan")
    made.about = {"below": machine.eth0.interface.index, "vlan": vlan}
    made.answers = dict(MACS)
    return made


def test_servers_are_looked_for_on_the_interface_of_the_vlan(machine: Machine) -> None:
    above = vlan_interface(machine)
    machine.write(web(1), balancer() + "assign_vips = true\n" + ON_VLAN)
    node = machine.start()

    assert ({S1}, set()) == (above.managed, machine.eth0.managed)
    assert VIP in above.addresses
    assert MACS[S1] == machine.kernel.planes["n", "balancer"].macs[S1]
    assert machine.eth0.interface.index == machine.kernel.planes["n", "balancer"].ifindex

    node.stop()

    assert (set(), False) == (above.managed, VIP in above.addresses)


SENDER: Final = back(interface="eth0").replace('"eth0" }', '"eth0", vlan = 5 }')


@pytest.mark.parametrize("section", [balancer() + ON_VLAN, SENDER], ids=["balancer", "sender"])
def test_without_an_interface_of_the_vlan_a_start_is_refused_with_the_command(
    machine: Machine, section: str
) -> None:
    vlan_interface(machine, vlan=6)
    machine.write(web(1), section)
    with pytest.raises(HostError, match=r"ip link add link eth0 name eth0\.5 type vlan id 5") as no:
        machine.start()

    assert "vlan-missing" == no.value.id
    assert {} == machine.kernel.planes


def test_another_vlan_in_the_file_moves_what_stood_on_the_former(machine: Machine) -> None:
    above = vlan_interface(machine)
    machine.write(web(1), balancer() + "assign_vips = true\n")
    node = machine.start()
    machine.write(web(1), balancer() + "assign_vips = true\n" + ON_VLAN)
    node.reload()

    assert (set(), {S1}) == (machine.eth0.managed, above.managed)
    assert (False, True) == (VIP in machine.eth0.addresses, VIP in above.addresses)
