"""After a commit nothing is refused any more, and nothing is taken that was not given."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final

import pytest

from remainder.errors import HostError
from remainder.kernel.fake import FakeHost
from remainder.kernel.fake_planes import FakePlanes
from remainder.kernel.neighbours import Neighbour
from remainder.observe import state
from remainder.roles.node import detach
from remainder.roles.running import RunningRole
from tests.unit.roles.machine import Machine, back, balancer, web

VIP: Final = ip_address("203.0.113.10")
ASSIGNED: Final = "assign_vips = true\n"
CLUSTER_MAC: Final = b"\3\0\x5e\0\0\1"
MEMBER: Final = """
[[cluster]]
name = "c"
address = "203.0.113.40"
mac = "03:00:5e:00:00:01"
key = "src_ip"
table = "modulo"
members = [{ name = "n", interface = "eth0" }, { name = "m", interface = "eth0" }]
"""


def test_an_address_that_the_host_refuses_is_told_and_tried_again(machine: Machine) -> None:
    machine.write(web(11), balancer())
    node = machine.start()
    machine.kernel.fail["address", "eth0"] = "permission denied"
    machine.write(web(11, 12), balancer() + ASSIGNED, back())
    node.reload()
    noted = state.read("n", "balancer")

    assert ["permission denied"] == machine.warned
    assert {("n", "balancer"), ("n", "sender")} == set(machine.kernel.planes)
    assert noted is not None
    assert 2 == noted.published == node.roles[0].published

    machine.kernel.fail.clear()
    node.reload()

    assert VIP in machine.eth0.addresses

    node.stop()

    assert {} == machine.kernel.planes
    assert VIP not in machine.eth0.addresses


def test_an_address_that_was_added_before_one_was_refused_is_taken_back(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, added = machine.seen(), FakeHost.add_address
    two = web(11) + web(11).replace('"web"', '"more"').replace("113.10", "113.11")
    machine.write(two, balancer() + ASSIGNED)

    def add(host: FakeHost, index: int, address: object) -> bool:
        if address == ip_address("203.0.113.11"):
            raise HostError("no")
        return added(host, index, VIP)

    monkeypatch.setattr(FakeHost, "add_address", add)
    machine.start()
    detach("n", host=machine.host, planes=FakePlanes(machine.kernel))

    assert before == machine.seen()


def test_a_role_that_cannot_be_stopped_loses_no_other(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> bool:
        raise HostError("detaching: device or resource busy")

    machine.write(web(11), balancer())
    node = machine.start()
    machine.write(web(11), back())
    monkeypatch.setattr(FakePlanes, "remove", refuse)
    node.reload()

    assert ["sender"] == [role.role for role in node.roles]
    assert ["detaching: device or resource busy"] == machine.warned


def test_a_failed_start_leaves_the_group_address_of_what_runs(machine: Machine) -> None:
    machine.write(MEMBER)
    machine.start()
    state.remove("n", "member")
    machine.kernel.fail["commit", "member"] = "no"
    with pytest.raises(HostError):
        machine.start()

    assert {CLUSTER_MAC} == machine.eth0.heard


def test_what_stood_on_the_interface_is_given_back_after_somebody_detached_the_program(
    machine: Machine,
) -> None:
    machine.eth0.offloads = ("rx-vlan-hw-parse",)
    before = machine.seen()
    machine.write(web(11), balancer() + ASSIGNED)
    machine.start()
    machine.kernel.planes["n", "balancer"].ifindex = 0
    machine.start().stop()

    assert before == machine.seen()


def test_a_node_that_was_killed_while_it_moved_has_its_vip_where_it_runs(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    machine.write(web(11), balancer() + ASSIGNED)
    machine.start()
    eth2 = machine.link("eth2", "192.0.2.3/24")
    machine.write(web(11), balancer("eth2") + ASSIGNED)
    with monkeypatch.context() as patched:
        patched.setattr(RunningRole, "took", killed)
        with pytest.raises(KeyboardInterrupt):
            machine.start()
    machine.start()

    assert VIP not in machine.eth0.addresses
    assert VIP in eth2.addresses
    assert set() == machine.eth0.managed


def test_a_file_that_is_refused_at_once_waits_for_no_server(machine: Machine) -> None:
    machine.write(web(11), balancer())
    node = machine.start()
    del machine.eth0.answers[ip_address("192.0.2.12")]
    machine.write(web(11, 12), balancer(), back(interface="eth9"))
    for _ in range(3):
        with pytest.raises(HostError):
            node.reload()

    assert 0 == machine.kernel.clock_s
    assert [] == machine.warned


def test_a_build_that_is_installed_meanwhile_is_not_noted_as_the_one_that_runs(
    machine: Machine,
) -> None:
    machine.write(web(11), balancer())
    node = machine.start()
    machine.kernel.code = "build 2"
    moved = Neighbour(ip_address("192.0.2.11"), b"\2\0\0\0\0\x77", valid=True, managed=True)
    node.roles[0].neighbour_changed(moved)
    machine.start()

    assert 2 == machine.met()[1]


def test_a_neighbour_that_another_role_needs_stays(machine: Machine) -> None:
    """A balancer's server that is a sender's router too."""
    machine.write(web(11), balancer())
    node = machine.start()
    before = machine.seen()
    machine.write(web(11), balancer(), back("192.0.2.11", "eth0"))
    machine.kernel.fail["commit", "sender"] = "no"
    with pytest.raises(HostError):
        node.reload()

    assert before == machine.seen()

    machine.kernel.fail.clear()
    node.reload()
    machine.write(web(11), balancer())
    node.reload()

    assert {ip_address("192.0.2.11")} == machine.eth0.managed


def test_a_role_that_the_file_dropped_while_nobody_ran_is_stopped(machine: Machine) -> None:
    machine.write(web(11), balancer(), back())
    machine.start()
    machine.write(web(11), balancer())
    machine.start()

    assert [("n", "balancer")] == list(machine.kernel.planes)
    assert set() == machine.eth1.managed


def test_two_xdp_programs_on_one_interface_are_refused_by_a_reload_too(machine: Machine) -> None:
    machine.write(web(11), balancer())
    node = machine.start()
    before = machine.seen()
    machine.write(web(11), balancer(), MEMBER)
    with pytest.raises(HostError, match="give each role its own interface"):
        node.reload()

    assert before == machine.seen()
