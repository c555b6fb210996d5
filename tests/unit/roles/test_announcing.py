"""Neighbours learn where VIPs are."""

from __future__ import annotations

import pytest

from remainder.kernel.fake_planes import FakePlanes
from remainder.plan import Role
from remainder.roles.loop import LOOK_S
from remainder.roles.node import RunningNode
from tests.unit.roles.losses import (
    VIP,
    Loss,
    a_cable_out_and_in,
    a_link_down_and_up,
    a_vip_removed,
    another_own_mac,
    started,
)
from tests.unit.roles.machine import Machine, balancer, web


def announced(machine: Machine, node: RunningNode, seconds: float) -> list[tuple[object, bytes]]:
    machine.eth0.announced.clear()
    for _ in range(int(seconds / LOOK_S)):
        node.do_what_is_due()
        machine.kernel.clock_s += LOOK_S
    return list(machine.eth0.announced)


@pytest.mark.parametrize("loss", [a_cable_out_and_in, a_link_down_and_up, a_vip_removed])
def test_a_vip_that_comes_is_announced_three_times(machine: Machine, loss: Loss) -> None:
    node = started(machine)
    announced(machine, node, 5)
    assert [] == announced(machine, node, 5)
    if loss is not a_vip_removed:
        machine.kernel.change("eth0", carrier=False)
        node.tend()
    loss(machine)
    node.tend()
    node.tend()

    assert [(VIP, machine.eth0.interface.mac)] * 3 == announced(machine, node, 5)


def test_another_own_mac_is_announced(machine: Machine) -> None:
    node = started(machine)
    announced(machine, node, 5)
    another_own_mac(machine)
    node.tend()

    assert [(VIP, b"\2\0\0\0\0\x99")] * 3 == announced(machine, node, 5)


def test_a_vip_that_an_operator_moves_here_is_announced_though_we_did_not_assign_it(
    machine: Machine,
) -> None:
    machine.write(web(11), balancer())
    node = machine.start()
    node.tend()
    assert [] == announced(machine, node, 5)
    machine.eth0.addresses.add(VIP)
    node.tend()

    assert [(VIP, machine.eth0.interface.mac)] * 3 == announced(machine, node, 5)


def test_a_vip_that_keepalived_moves_is_left_to_keepalived(machine: Machine) -> None:
    vrrp = "[vrrp]\nrouter_id = 51\n"
    machine.write(vrrp, web(11), balancer(), '[[balancer]]\nname = "m"\ninterface = "eth0"\n')
    node = machine.start()
    machine.eth0.addresses.add(VIP)
    node.tend()

    assert [] == announced(machine, node, 5)


def test_a_vip_that_was_moved_away_since_the_last_look_is_not_announced(machine: Machine) -> None:
    node = started(machine)
    a_cable_out_and_in(machine)
    node.tend()
    a_vip_removed(machine)

    assert [] == announced(machine, node, 5)


def test_a_planned_stop_names_the_balancer_that_stays_before_it_detaches(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = started(machine)
    machine.kernel.beside[VIP] = b"\2\0\0\0\0\x42"
    machine.eth0.announced.clear()
    before: list[list[tuple[object, bytes]]] = []
    removed = FakePlanes.remove

    def remove(planes: FakePlanes, node: str, role: Role) -> bool:
        before.append(list(machine.eth0.announced))
        return removed(planes, node, role)

    monkeypatch.setattr(FakePlanes, "remove", remove)
    node.stop()

    assert [(VIP, b"\2\0\0\0\0\x42")] == before[-1]
