"""Nothing is taken that was not given (law 14)."""

from __future__ import annotations

from typing import Final

import pytest

from remainder.kernel.neighbours import Neighbour
from remainder.observe import state
from tests.unit.roles.losses import (
    S11,
    S12,
    VIP,
    started,
)
from tests.unit.roles.machine import MACS, Machine, balancer, web


def test_an_operators_permanent_neighbour_is_used_and_left(machine: Machine) -> None:
    machine.eth0.permanent[S11] = b"\2\0\0\0\7\7"
    machine.write(web(11, 12), balancer())
    node = machine.start()

    assert b"\2\0\0\0\7\7" == machine.kernel.planes["n", "balancer"].macs[S11]
    assert {S12} == machine.eth0.managed
    assert node.tend()
    node.stop()
    assert {S11: b"\2\0\0\0\7\7"} == machine.eth0.permanent


def test_a_neighbour_made_permanent_while_we_run_stays_when_we_go(machine: Machine) -> None:
    node = started(machine)
    machine.eth0.managed.discard(S11)
    machine.eth0.permanent[S11] = b"\2\0\0\0\7\7"

    assert node.tend()
    assert b"\2\0\0\0\7\7" == machine.kernel.planes["n", "balancer"].macs[S11]
    node.stop()
    assert S11 in machine.eth0.permanent


def test_a_vip_that_stood_there_is_left(machine: Machine) -> None:
    machine.eth0.addresses.add(VIP)
    node = started(machine)
    node.stop()

    assert VIP in machine.eth0.addresses


CLUSTER: Final = """
[[cluster]]
name = "c"
address = "203.0.113.10"
mac = "{mac}"
key = "src_ip"
table = "modulo"
members = [{{ name = "n", interface = "eth0" }}]
"""


@pytest.mark.parametrize("mac", ["02:00:5e:00:53:01", "03:00:5e:00:53:01"])
def test_an_interface_that_was_promiscuous_already_stays_so(machine: Machine, mac: str) -> None:
    machine.kernel.change("eth0", promiscuous=True)
    machine.write(CLUSTER.format(mac=mac))
    node = machine.start()

    assert node.roles[0].heard is None
    node.stop()
    assert machine.eth0.interface.promiscuous


def test_a_cluster_mac_that_is_no_longer_heard_is_joined_again(machine: Machine) -> None:
    machine.write(CLUSTER.format(mac="03:00:5e:00:53:01"))
    node = machine.start()
    before = set(machine.eth0.heard)
    machine.eth0.heard.clear()

    assert node.tend()
    assert before == machine.eth0.heard
    node.stop()
    assert set() == machine.eth0.heard


def test_what_a_dead_process_left_is_found_by_its_marks_when_notes_are_lost(
    machine: Machine,
) -> None:
    started(machine)
    state.remove("n", "balancer")
    node = machine.start()
    node.stop()

    assert VIP not in machine.eth0.addresses
    assert set() == machine.eth0.managed


@pytest.mark.parametrize(
    "mac", [bytes(6), b"\xff" * 6, b"\1\0\x5e\0\0\1", b"\2\0\0\0\0\1"],
    ids=["zero", "broadcast", "group", "own"],
)  # fmt: skip
def test_a_mac_that_cannot_be_a_servers_is_not_believed(machine: Machine, mac: bytes) -> None:
    node = started(machine)
    assert machine.eth0.interface.mac == b"\2\0\0\0\0\1"
    node.roles[0].neighbour_changed(Neighbour(S11, mac, valid=True, managed=True))

    assert MACS[S11] == machine.kernel.planes["n", "balancer"].macs[S11]
