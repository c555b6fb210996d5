"""A balancer follows the other MAC addresses of its machine."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_interface
from typing import Any

from remainder.kernel.fake import FakeLink
from remainder.kernel.own_macs import OwnMacs
from tests.unit.roles.machine import Machine, balancer, web

VRRP = bytes.fromhex("00005e000133")
VIP = ip_address("203.0.113.10")


def with_virtual(machine: Machine) -> FakeLink:
    """As keepalived's use_vmac makes it."""
    made = machine.kernel.link("vrrp.51", ip_interface("192.0.2.200/32"), kind="macvlan")
    made.interface = replace(made.interface, mac=VRRP)
    made.about["below"] = machine.eth0.interface.index
    return made


def test_a_balancer_answers_for_a_virtual_address_from_its_start(machine: Machine) -> None:
    with_virtual(machine).addresses.add(VIP)
    machine.write(web(1), balancer())
    machine.start()

    own = machine.kernel.planes["n", "balancer"].own_macs
    assert ((VRRP,), (machine.eth1.interface.mac,)) == (own.accepted, own.strange)


def test_a_balancer_follows_a_takeover_by_keepalived(machine: Machine) -> None:
    virtual = with_virtual(machine)
    machine.write(web(1), balancer())
    node = machine.start()
    eth1 = machine.eth1.interface.mac
    seen: list[Any] = []
    for change in (virtual.addresses.add, virtual.addresses.discard):
        change(VIP)
        node.tend()
        own = machine.kernel.planes["n", "balancer"].own_macs
        seen.append((own.accepted, own.strange))

    assert [((VRRP,), (eth1,)), ((), (eth1,))] == seen


def test_an_interface_that_is_gone_takes_its_address_with_it(machine: Machine) -> None:
    machine.write(web(1), balancer())
    node = machine.start()
    del machine.kernel.links["eth1"]
    node.tend()

    assert OwnMacs() == machine.kernel.planes["n", "balancer"].own_macs


def test_what_happens_to_a_virtual_address_makes_a_balancer_look(machine: Machine) -> None:
    virtual = with_virtual(machine)
    machine.write(web(1), balancer())
    (role,) = machine.start().roles

    assert role.concerns(virtual.interface.index)
    assert not role.concerns(machine.eth1.interface.index)


def test_only_what_is_accepted_is_worth_a_word(machine: Machine) -> None:
    machine.write(web(1), balancer())
    node = machine.start()
    machine.link("veth7", "198.51.100.7/24")
    node.tend()

    assert [] == machine.warned

    with_virtual(machine).addresses.add(VIP)
    node.tend()

    assert ["eth0: takes VIPs that are sent to 00:00:5e:00:01:33"] == machine.warned
