"""What stands in the way of one thing must not keep the others away, nor be told for ever."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any, Final

import pytest

from remainder.errors import HostError
from remainder.flow import Address
from remainder.kernel.fake import FakeHost
from remainder.kernel.fake_planes import FakePlane, FakePlanes, FakePrepared
from remainder.observe import state
from remainder.plan import Role
from tests.unit.roles.losses import (
    ASSIGNED,
    S11,
    S12,
    VIP,
    a_program_detached,
    a_vip_removed,
    neighbours_flushed,
    pins_removed,
    started,
)
from tests.unit.roles.machine import MACS, Machine, back, balancer, web
from tests.unit.roles.test_announcing import announced

OTHERS: Final = [f"203.0.113.{number}" for number in range(20, 28)]


def test_vips_on_an_interface_that_came_back_are_announced(machine: Machine) -> None:
    node = started(machine)
    announced(machine, node, 5)
    machine.kernel.remove("eth0")
    assert node.tend()
    machine.eth0 = machine.link("eth0", "192.0.2.2/24")
    for _ in range(3):
        assert node.tend()

    assert [(VIP, machine.eth0.interface.mac)] * 3 == announced(machine, node, 5)


def test_an_error_of_the_system_in_one_step_does_not_keep_the_others_away(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = started(machine)

    def read_only(_: FakePlane) -> None:
        raise OSError(30, "Read-only file system", "/sys/fs/bpf")

    monkeypatch.setattr(FakePlane, "pin", read_only)
    pins_removed(machine)
    a_vip_removed(machine)
    neighbours_flushed(machine)

    assert not node.tend()
    assert VIP in machine.eth0.put
    assert {S11, S12} == machine.eth0.managed


def test_a_vip_that_the_host_refuses_does_not_keep_the_others_away(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = [web(11).replace('"web"', f'"web-{vip}"').replace("203.0.113.10", vip) for vip in OTHERS]
    machine.write(*more, balancer() + ASSIGNED)
    node = machine.start()
    vips = set(machine.eth0.put)
    assert len(OTHERS) == len(vips)
    machine.eth0.addresses -= vips
    machine.eth0.put.clear()
    refused, add = ip_address(OTHERS[0]), machine.host.add_address

    def add_address(index: int, address: Address) -> bool:
        if address == refused:
            raise HostError("the host will not have it")
        return add(index, address)

    monkeypatch.setattr(machine.host, "add_address", add_address, raising=False)

    assert not node.tend()
    assert vips - {refused} == machine.eth0.put


def test_a_place_that_is_taken_for_long_is_told_once(machine: Machine) -> None:
    node = started(machine)
    a_program_detached(machine)
    machine.kernel.fail["commit", "balancer"] = "somebody else's program is there"
    for _ in range(5):
        assert not node.tend()

    assert [
        "eth0: somebody detached the balancer's program, attaching it again",
        "somebody else's program is there; trying again",
    ] == machine.warned

    machine.kernel.fail.clear()
    assert node.tend()
    a_program_detached(machine)
    assert node.tend()
    assert 2 == len([line for line in machine.warned if "somebody detached" in line])


def test_a_program_that_went_with_its_interface_was_detached_by_nobody(machine: Machine) -> None:
    node = started(machine)
    machine.kernel.remove("eth0")
    assert node.tend()
    machine.link("eth0", "192.0.2.2/24")
    machine.kernel.fail["commit", "balancer"] = "not yet"
    for _ in range(3):
        assert not node.tend()

    assert [] == [line for line in machine.warned if "somebody detached" in line]


def test_an_error_of_the_system_after_a_commit_is_told_and_the_change_stands(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = started(machine)

    def finish(_: FakePrepared) -> None:
        raise OSError(30, "Read-only file system", "/sys/fs/bpf/remainder/n")

    monkeypatch.setattr(FakePrepared, "finish", finish)
    machine.write(web(11), balancer() + ASSIGNED)
    node.reload()

    assert "/sys/fs/bpf/remainder/n: Read-only file system" in machine.warned
    assert {S11} == node.roles[0].managed
    assert {("n", "balancer")} == set(machine.kernel.planes)


def test_an_error_of_the_system_at_a_stop_does_not_keep_the_rest_running(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = started(machine)
    removed = FakePlanes.remove

    def remove(planes: FakePlanes, name: str, role: Role) -> bool:
        if role == "sender":
            raise OSError(24, "Too many open files")
        return removed(planes, name, role)

    monkeypatch.setattr(FakePlanes, "remove", remove)
    node.stop()

    assert ["Too many open files"] == machine.warned
    assert {("n", "sender")} == set(machine.kernel.planes)
    assert set() == machine.eth0.managed == machine.eth1.managed


def test_what_is_wrong_with_a_file_that_the_host_refuses_is_not_told_at_each_attempt(
    machine: Machine,
) -> None:
    node = started(machine)
    machine.write(web(11, 12, 30), balancer() + ASSIGNED, back())
    machine.kernel.fail["prepare", "balancer"] = "no memory"
    for _ in range(3):
        with pytest.raises(HostError, match="no memory"):
            node.reload()
    assert [] == machine.warned

    machine.kernel.fail.clear()
    node.reload()
    assert ["192.0.2.30" in line for line in machine.warned] == [True]


def test_a_stop_does_not_hand_over_to_a_server_that_answers_for_the_vip(machine: Machine) -> None:
    node = started(machine)
    machine.kernel.beside[VIP] = MACS[S11]
    machine.eth0.announced.clear()
    node.stop()

    assert [] == machine.eth0.announced


@pytest.mark.parametrize("steps", [["interface", "interface_at"], ["neighbours"]])
def test_a_start_that_the_host_refuses_holds_nothing(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, steps: list[str]
) -> None:
    started(machine)
    if steps == ["neighbours"]:
        state.remove("n", "balancer")
    held: list[FakePlane] = []
    find = FakePlanes.find

    def remember(planes: FakePlanes, *asked: Any, **more: Any) -> FakePlane | None:
        found = find(planes, *asked, **more)
        held.extend([found] if found is not None else [])
        return found

    def refuse(*_: object) -> None:
        raise HostError("not now")

    monkeypatch.setattr(FakePlanes, "find", remember)
    for step in steps:
        monkeypatch.setattr(FakeHost, step, refuse)
    with pytest.raises(HostError):
        machine.start()

    assert [] == [plane for plane in held if plane.is_open]
