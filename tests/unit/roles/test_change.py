"""Roles change together or not at all, on a host in memory (law 13)."""

from __future__ import annotations

import dataclasses
import os
import signal
import time
from collections.abc import Callable
from ipaddress import ip_address
from typing import Final

import pytest

from remainder.errors import ConfigError, HostError
from remainder.kernel.fake_planes import FakePlane, FakePlanes, FakePrepared
from remainder.kernel.neighbours import Neighbour
from remainder.messages import Warn
from remainder.observe import state
from remainder.roles.node import detach
from remainder.roles.running import RunningRole
from tests.unit.roles.machine import Machine, back, balancer, web

# --- start, adopt, reload, stop


def test_a_node_starts_with_all_its_roles(machine: Machine) -> None:
    machine.write(web(11, 12), balancer(), back())
    node = machine.start()

    assert {("n", "balancer"), ("n", "sender")} == set(machine.kernel.planes)
    assert ["balancer", "sender"] == [role.role for role in node.roles]
    assert {ip_address("192.0.2.11"), ip_address("192.0.2.12")} == machine.eth0.managed
    assert ["native", "tcx"] == [role.mode for role in node.roles]


def test_a_process_that_dies_leaves_what_the_next_takes_over(machine: Machine) -> None:
    machine.write(web(11, 12), balancer())
    machine.start()
    before = machine.met()
    machine.start()

    assert (before[0] + 1, *before[1:]) == machine.met()
    assert [] == machine.warned


def test_a_new_build_brings_its_own_program(machine: Machine) -> None:
    machine.write(web(11), balancer())
    machine.start()
    machine.kernel.code = "build 2"
    machine.start()

    assert (2, 2) == machine.met()[:2]


def test_lost_notes_are_told_and_cost_the_counters_alone(machine: Machine) -> None:
    machine.write(web(11), balancer())
    machine.start()
    state.remove("n", "balancer")
    machine.start()

    assert ["its state file is missing" in line for line in machine.warned] == [True]
    assert 2 == machine.met()[0]


def test_a_reload_publishes_in_place_and_forgets_who_left(machine: Machine) -> None:
    machine.write(web(11, 12), balancer())
    node = machine.start()
    machine.write(web(12, 13), balancer())
    node.reload()

    assert (2, 1) == machine.met()[:2]
    assert {ip_address("192.0.2.12"), ip_address("192.0.2.13")} == machine.eth0.managed


def test_a_node_that_stops_leaves_nothing(machine: Machine) -> None:
    machine.eth0.offloads = ("rx-vlan-hw-parse",)
    before = machine.seen()
    machine.write(web(11), balancer() + "assign_vips = true\n", back())
    node = machine.start()

    assert ip_address("203.0.113.10") in machine.eth0.addresses
    assert not machine.eth0.offloads

    node.stop()

    assert before == machine.seen()
    assert [] == state.running()


def test_detaching_a_dead_node_leaves_nothing(machine: Machine) -> None:
    before = machine.seen()
    machine.write(web(11), balancer() + "assign_vips = true\n", back())
    machine.start()

    assert detach("n", host=machine.host, planes=FakePlanes(machine.kernel))
    assert before == machine.seen()


def test_a_role_that_the_file_drops_stops_and_the_other_stays(machine: Machine) -> None:
    machine.write(web(11), balancer(), back())
    node = machine.start()
    machine.write(web(11), balancer())
    node.reload()

    assert [("n", "balancer")] == list(machine.kernel.planes)
    assert set() == machine.eth1.managed


# --- prepare everything, then commit

Refusal = Callable[[Machine], None]


def no_such_interface(machine: Machine) -> None:
    machine.write(web(11, 12, 13), balancer(), back(interface="eth9"))


def a_router_elsewhere(machine: Machine) -> None:
    machine.write(web(11, 12, 13), balancer(), back(router="192.0.2.200"))


def a_program_that_does_not_load(machine: Machine) -> None:
    machine.write(web(11, 12, 13), balancer(), back())
    machine.kernel.fail["prepare", "sender"] = "the verifier rejects it"


def a_place_that_is_taken(machine: Machine) -> None:
    machine.write(web(11, 12, 13), balancer(), back())
    machine.kernel.fail["commit", "sender"] = "somebody else is there"


def a_full_neighbour_table(machine: Machine) -> None:
    machine.write(web(11, 12, 13), balancer(), back())
    machine.kernel.fail["resolve", "eth1"] = "the neighbour table is full"


def a_balancer_that_cannot_follow(machine: Machine) -> None:
    machine.write(web(11, 12, 13), balancer(), back())
    machine.kernel.fail["commit", "balancer"] = "the driver refuses the program"


def a_mistake_in_the_file(machine: Machine) -> None:
    machine.write(web(11, 12, 13), balancer(), back(), "[[service]]\n")


REFUSALS: Final = [
    no_such_interface,
    a_router_elsewhere,
    a_program_that_does_not_load,
    a_place_that_is_taken,
    a_full_neighbour_table,
    a_balancer_that_cannot_follow,
    a_mistake_in_the_file,
]


@pytest.mark.parametrize("refusal_of", REFUSALS)
def test_a_reload_that_one_role_cannot_have_changes_no_role(
    machine: Machine, refusal_of: Refusal
) -> None:
    """The half of the file that could be had is not published either."""
    machine.write(web(11, 12), balancer())
    node = machine.start()
    before = machine.seen()
    refusal_of(machine)
    with pytest.raises((HostError, ConfigError)):
        node.reload()

    assert before == machine.seen()
    assert ["balancer"] == [role.role for role in node.roles]
    assert 1 == node.roles[0].published

    machine.kernel.fail.clear()
    machine.write(web(11, 12, 13), balancer(), back())
    node.reload()

    assert 2 == machine.met()[0]
    assert ("n", "sender") in machine.kernel.planes


@pytest.mark.parametrize("refusal_of", REFUSALS)
def test_a_start_that_one_role_cannot_have_leaves_the_adopted_one_as_found(
    machine: Machine, refusal_of: Refusal
) -> None:
    machine.write(web(11, 12), balancer())
    machine.start()
    before = machine.seen()
    refusal_of(machine)
    with pytest.raises((HostError, ConfigError)):
        machine.start()

    assert before == machine.seen()


@pytest.mark.parametrize("refusal_of", REFUSALS)
def test_a_first_start_that_one_role_cannot_have_leaves_nothing(
    machine: Machine, refusal_of: Refusal
) -> None:
    before = machine.seen()
    refusal_of(machine)
    with pytest.raises((HostError, ConfigError)):
        machine.start()

    assert before == machine.seen()


@pytest.mark.parametrize("name", ["eth9", "eth1"])
def test_another_interface_by_mistake_takes_nothing_away(machine: Machine, name: str) -> None:
    """There is none, or the servers are not on its segment."""
    machine.write(web(11))
    machine.start(interface="eth0")
    before = machine.seen()
    with pytest.raises(HostError):
        machine.start(interface=name)

    assert before == machine.seen()


def test_a_node_may_move_to_another_interface(machine: Machine) -> None:
    """What it had put on the first one is taken back."""
    machine.write(web(11))
    machine.start(interface="eth0")
    machine.link("eth2", "192.0.2.3/24")
    machine.start(interface="eth2")

    assert 3 == machine.met()[3]
    assert set() == machine.eth0.managed
    assert ["starting afresh on eth2" in line for line in machine.warned] == [True]


def test_two_return_paths_of_one_node_change_together(machine: Machine) -> None:
    machine.write(web(11), balancer(), back(number=1))
    node = machine.start()
    before = machine.seen()
    machine.write(web(11), balancer(), back(number=1), back("192.0.2.1", number=2))
    with pytest.raises((HostError, ConfigError)):
        node.reload()

    assert before == machine.seen()


@pytest.mark.parametrize("mode", ["native", "auto"])
def test_a_card_that_keeps_its_vlan_offload_is_refused_or_runs_generically(
    machine: Machine, mode: str
) -> None:
    machine.eth0.offloads = ("rx-vlan-hw-parse",)
    machine.kernel.fail["offload", "eth0"] = "eth0 will not switch it off"
    machine.write(web(11), balancer() + f'mode = "{mode}"\n')
    if mode == "native":
        with pytest.raises(HostError, match="without their tag; use --mode generic"):
            machine.start()
        assert {} == machine.kernel.planes
    else:
        assert "generic" == machine.start().roles[0].mode
        assert ["runs in generic mode" in line for line in machine.warned] == [True]


# --- following the segment


def role_of(machine: Machine) -> RunningRole:
    machine.write(web(11, 12), balancer())
    return machine.start().roles[0]


def test_a_server_that_moves_is_followed(machine: Machine) -> None:
    role, address = role_of(machine), ip_address("192.0.2.11")
    role.neighbour_changed(Neighbour(address, b"\2\0\0\0\0\x77", valid=True, managed=True))

    assert b"\2\0\0\0\0\x77" == machine.kernel.planes["n", "balancer"].macs[address]


def test_a_server_that_falls_silent_keeps_its_last_mac(machine: Machine) -> None:
    role, address = role_of(machine), ip_address("192.0.2.11")
    before = machine.kernel.planes["n", "balancer"].macs[address]
    role.neighbour_changed(Neighbour(address, None, valid=False, managed=True))

    assert before == machine.kernel.planes["n", "balancer"].macs[address]


def test_a_server_that_never_answered_is_waited_for_and_named(machine: Machine) -> None:
    del machine.eth0.answers[ip_address("192.0.2.12")]
    role_of(machine)

    assert machine.kernel.clock_s > 2
    assert ["does not answer ARP at 192.0.2.12" in line for line in machine.warned] == [True]


def test_what_may_be_refused_is_committed_first(machine: Machine) -> None:
    """A place before a program, a program before a store: then least must go back."""
    machine.write(web(11), balancer())
    node = machine.start()
    machine.kernel.calls.clear()
    machine.write(web(11, 12), balancer(), back())
    node.reload()

    assert ["commit sender", "commit balancer"] == [
        call for call in machine.kernel.calls if call.startswith("commit")
    ]


def test_an_offload_is_on_again_after_a_start_that_failed(machine: Machine) -> None:
    machine.eth0.offloads = ("rx-vlan-hw-parse",)
    machine.kernel.fail["commit", "balancer"] = "somebody else is there"
    machine.write(web(11), balancer())
    with pytest.raises(HostError, match="somebody else"):
        machine.start()

    assert ("rx-vlan-hw-parse",) == machine.eth0.offloads


@pytest.mark.parametrize("sections", [(web(1), balancer()), (web(1), back(interface="eth0"))])
def test_an_interface_without_ethernet_is_refused_in_one_sentence(
    machine: Machine, sections: tuple[str, ...]
) -> None:
    machine.eth0.interface = dataclasses.replace(machine.eth0.interface, ethernet=False)
    machine.write(*sections)
    with pytest.raises(HostError, match="eth0 carries no Ethernet frames") as refused:
        machine.start()

    assert "interface-not-ethernet" == refused.value.id
    assert {} == machine.kernel.planes


def test_a_balancer_on_a_macvlan_is_refused_with_the_interface_to_use(machine: Machine) -> None:
    machine.eth0.interface = dataclasses.replace(machine.eth0.interface, kind="macvlan")
    machine.write(web(11), balancer())
    before = machine.seen()
    with pytest.raises(HostError, match="use the interface below it"):
        machine.start()

    assert before == machine.seen()


def test_a_stop_that_came_while_packets_began_to_see_a_start_leaves_nothing(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, committed = machine.seen(), FakePrepared.commit

    def commit(prepared: FakePrepared, warn: Warn) -> FakePlane:
        plane = committed(prepared, warn)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)  # it is for this process, and any thread may take it
        return plane

    monkeypatch.setattr(FakePrepared, "commit", commit)
    machine.write(web(11, 12), balancer(), back())
    handler = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            machine.start()
    finally:
        signal.signal(signal.SIGTERM, handler)

    assert before == machine.seen()


def test_two_roles_in_xdp_on_one_interface_are_named(machine: Machine) -> None:
    """A balancer that is also a server of its own service, say."""
    server = '{ name = "n", address = "192.0.2.20", interface = "eth0" }'
    text = web(11).replace("servers = [", f"servers = [{server}, ")
    before = (
        '[[service.before]]\nkey = "src_ip"\ntable = "modulo"\n'
        'servers = [{ name = "s11", address = "192.0.2.11" }]\n'
    )
    machine.write(text, before, balancer())
    with pytest.raises(HostError, match="node 'n' is balancer and server on eth0, which can run"):
        machine.start()
