"""What a role has put on its host stands there again, without a hand (law 12)."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from remainder.kernel.fake_planes import FakePlanes
from remainder.observe import state
from remainder.roles.node import detach
from tests.unit.roles.losses import (
    LOSSES,
    S11,
    S12,
    VIP,
    Loss,
    a_program_detached,
    a_range_added,
    a_senders_program_detached,
    a_vip_removed,
    another_own_mac,
    neighbours_flushed,
    pins_removed,
    standing,
    started,
)
from tests.unit.roles.machine import Machine


@pytest.mark.parametrize("loss", LOSSES)
def test_what_is_lost_stands_again_after_one_look(machine: Machine, loss: Loss) -> None:
    node = started(machine)
    before = standing(machine)
    loss(machine)
    lost = standing(machine)
    told = bool(lost != before)

    assert node.tend()
    if loss is another_own_mac:
        assert b"\2\0\0\0\0\x99" == machine.kernel.planes["n", "balancer"].own_mac
    elif loss is a_range_added:
        assert ip_network("192.0.2.128/25") in machine.kernel.planes["n", "sender"].on_link
    else:
        assert told
        assert before == standing(machine)
    mended = len(machine.warned)
    assert mended >= 1

    assert node.tend()
    assert mended == len(machine.warned)


@pytest.mark.parametrize("loss", [a_program_detached, a_senders_program_detached, pins_removed])
def test_a_glance_finds_what_ends_forwarding(machine: Machine, loss: Loss) -> None:
    node = started(machine)
    assert node.glance()
    loss(machine)

    assert not node.glance()


def test_what_a_link_that_is_down_lost_waits_until_it_is_up(machine: Machine) -> None:
    node = started(machine)
    machine.kernel.change("eth0", up=False, carrier=False)

    assert node.tend()
    assert set() == machine.eth0.managed
    assert ["eth0 is down"] == machine.warned

    machine.kernel.change("eth0", up=True, carrier=True)

    assert node.tend()
    assert {S11, S12} == machine.eth0.managed


def test_an_interface_that_is_gone_is_waited_for_and_attached_to_again(machine: Machine) -> None:
    node = started(machine)
    link = machine.eth0
    machine.kernel.remove("eth0")

    assert node.tend()
    assert node.tend()
    assert ["eth0 disappeared" in line for line in machine.warned] == [True]

    machine.link("eth0", "192.0.2.2/24")

    assert node.tend()
    met = machine.kernel.planes["n", "balancer"]
    assert met.attached
    assert link.interface.index != met.ifindex
    assert node.tend()
    assert VIP in machine.kernel.links["eth0"].put
    assert {S11, S12} == machine.kernel.links["eth0"].managed


def test_a_renamed_interface_is_served_by_its_number(machine: Machine) -> None:
    node = started(machine)
    machine.kernel.change("eth0", name="wan0")

    assert node.tend()
    assert ["eth0 is called wan0 now, and still served"] == machine.warned
    machine.eth0.managed.clear()
    assert node.tend()
    assert {S11, S12} == machine.eth0.managed

    node.stop()
    assert set() == machine.eth0.managed
    assert VIP not in machine.eth0.addresses


def test_a_node_whose_interface_was_renamed_is_adopted_and_detached(machine: Machine) -> None:
    started(machine)
    machine.kernel.change("eth0", name="wan0")
    machine.start()

    assert ["eth0 is called wan0 now" in line for line in machine.warned] == [True]
    assert detach("n", host=machine.host, planes=FakePlanes(machine.kernel))
    assert set() == machine.eth0.managed
    assert VIP not in machine.eth0.addresses


def test_a_port_of_a_bridge_follows_its_servers_on_the_bridge(machine: Machine) -> None:
    node = started(machine)
    bridge = machine.link("br0", "192.0.2.2/24")
    machine.kernel.change("eth0", holder=bridge.interface.index)

    assert node.tend()
    assert {S11, S12} == bridge.managed
    assert VIP in bridge.put
    assert set() == machine.eth0.managed
    assert VIP not in machine.eth0.addresses

    node.stop()
    assert set() == bridge.managed


# --- a host that refuses

Fault = tuple[str, str]


@pytest.mark.parametrize(
    ("loss", "fault"),
    [
        (neighbours_flushed, ("resolve", "eth0")),
        (a_vip_removed, ("address", "eth0")),
        (a_program_detached, ("commit", "balancer")),
        (a_program_detached, ("prepare", "balancer")),
    ],
)
def test_a_refusal_is_told_once_noted_and_tried_again(
    machine: Machine, loss: Loss, fault: Any
) -> None:
    node = started(machine)
    before = standing(machine)
    machine.kernel.fail[fault] = "the host will not have it"
    loss(machine)

    assert not node.tend()
    assert not node.tend()
    told = [line for line in machine.warned if "will not have it" in line]
    assert ["the host will not have it; trying again"] == told
    noted = state.read("n", "balancer")
    assert noted is not None
    assert "the host will not have it" == noted.trouble

    machine.kernel.fail.clear()

    assert node.tend()
    assert before == standing(machine)
    noted = state.read("n", "balancer")
    assert noted is not None
    assert noted.trouble is None


def test_an_error_of_the_system_that_nobody_words_ends_nothing(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = started(machine)

    def full(*_: object) -> None:
        raise OSError(24, "Too many open files", "/proc/net")

    monkeypatch.setattr(machine.host, "interface_at", full, raising=False)

    assert not node.tend()
    assert not node.tend()
    assert ["/proc/net: Too many open files; trying again"] * 2 == machine.warned  # a role each
