"""What a role has put on its host stands there again, without a hand (law 12)."""

from __future__ import annotations

import queue
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import Any, Final

import pytest

from remainder.kernel.fake_planes import FakePlanes
from remainder.kernel.monitor import Learned, Touched
from remainder.kernel.neighbours import Neighbour
from remainder.observe import state
from remainder.plan import Role
from remainder.roles.loop import AGAIN_S, LOOK_S, TEND_S, Loop, Request
from remainder.roles.node import RunningNode, detach
from tests.unit.roles.machine import MACS, Machine, back, balancer, web

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


# --- whatever is taken away comes back, and is told once

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


# --- nothing is taken that was not given


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


# --- neighbours must learn


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


# --- the loop


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def loop(machine: Machine) -> Loop:
    node = started(machine)
    made = Loop(node, queue.SimpleQueue(), lambda: None, clock=Clock())
    made.look()
    return made


def wait(loop: Loop, seconds: float) -> None:
    for _ in range(round(seconds / LOOK_S)):
        loop.clock.now_s += LOOK_S  # type: ignore[attr-defined]
        loop.passes()


def test_a_detached_program_is_back_within_a_quarter_of_a_second(
    machine: Machine, loop: Loop
) -> None:
    a_program_detached(machine)
    wait(loop, LOOK_S)

    assert machine.kernel.planes["n", "balancer"].attached


def test_a_message_makes_the_loop_look_at_once(machine: Machine, loop: Loop) -> None:
    neighbours_flushed(machine)
    gone = Neighbour(S11, None, valid=False)
    loop.handle(Learned(machine.eth0.interface.index, gone, deleted=True))
    wait(loop, LOOK_S)

    assert {S11, S12} == machine.eth0.managed


def test_a_message_about_another_interface_makes_nobody_look(machine: Machine, loop: Loop) -> None:
    loop.handle(Touched(77))

    assert not loop.touched


def test_what_no_message_tells_is_found_by_looking_anyway(machine: Machine, loop: Loop) -> None:
    neighbours_flushed(machine)
    wait(loop, TEND_S)

    assert {S11, S12} == machine.eth0.managed


def test_a_stranger_who_fights_for_an_address_does_not_fill_the_log(
    machine: Machine, loop: Loop
) -> None:
    """Looks grow apart, up to the one that comes anyway."""
    for _ in range(round(60 / LOOK_S)):
        a_vip_removed(machine)
        loop.handle(Touched(machine.eth0.interface.index))
        wait(loop, LOOK_S)

    assert 10 <= len([line for line in machine.warned if "assigned again" in line]) <= 24


def test_accidents_that_follow_each_other_are_no_fight(machine: Machine, loop: Loop) -> None:
    for _ in range(8):
        neighbours_flushed(machine)
        gone = Neighbour(S11, None, valid=False)
        loop.handle(Learned(machine.eth0.interface.index, gone, deleted=True))
        wait(loop, 2 * LOOK_S)

        assert {S11, S12} == machine.eth0.managed
        wait(loop, 2 * LOOK_S)


def test_an_interface_that_is_gone_is_waited_for_without_reading_everything_all_the_time(
    machine: Machine, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.kernel.remove("eth0")
    wait(loop, LOOK_S)
    with monkeypatch.context() as patched:
        looks = iter(range(1000))
        tend = loop.node.tend
        patched.setattr(loop.node, "tend", lambda: next(looks) >= 0 and tend())
        wait(loop, TEND_S)

    assert next(looks) <= 2
    machine.link("eth0", "192.0.2.2/24")
    loop.handle(Touched(machine.kernel.links["eth0"].interface.index))
    wait(loop, LOOK_S)

    assert machine.kernel.planes["n", "balancer"].attached


def test_a_changed_file_is_read_aside_and_published(machine: Machine, loop: Loop) -> None:
    machine.write(web(11, 12, 13), balancer() + ASSIGNED, back())
    wait(loop, 2 * LOOK_S)
    loop.handle(loop.events.get(timeout=5))

    assert ip_address("192.0.2.13") in machine.eth0.managed


def test_a_file_that_the_host_refuses_is_tried_again(machine: Machine, loop: Loop) -> None:
    machine.kernel.fail["resolve", "eth0"] = "the table is full"
    machine.write(web(11, 12, 13), balancer() + ASSIGNED, back())
    wait(loop, 2 * LOOK_S)
    loop.handle(loop.events.get(timeout=5))
    wait(loop, 2 * AGAIN_S)

    assert ["the table is full" in line for line in machine.warned] == [True]
    machine.kernel.fail.clear()
    wait(loop, AGAIN_S + LOOK_S)

    assert ip_address("192.0.2.13") in machine.eth0.managed


def test_a_reload_asked_for_while_the_file_is_read_is_not_forgotten(
    machine: Machine, loop: Loop
) -> None:
    loop.handle(Request.RELOAD)
    loop.handle(Request.RELOAD)
    first = machine.met()[0]
    for _ in range(2):
        loop.handle(loop.events.get(timeout=5))

    assert first + 2 == machine.met()[0]
    assert Request.STOP is loop.handle(Request.STOP)


def test_an_unknown_error_of_a_reader_is_told_and_ends_nothing(
    machine: Machine, loop: Loop
) -> None:
    machine.file.unlink()
    loop.handle(Request.RELOAD)
    loop.handle(loop.events.get(timeout=5))

    assert ["new file rejected" in line for line in machine.warned] == [True]


def test_a_file_that_is_only_touched_is_not_published_again(machine: Machine, loop: Loop) -> None:
    before = machine.met()[0]
    machine.file.touch()
    wait(loop, 2 * LOOK_S)
    loop.handle(loop.events.get(timeout=5))

    assert before == machine.met()[0]
    loop.handle(Request.RELOAD)
    loop.handle(loop.events.get(timeout=5))

    assert before + 1 == machine.met()[0]


def test_the_same_file_after_one_that_was_rejected_is_published(
    machine: Machine, loop: Loop
) -> None:
    good = machine.file.read_text()
    for text in ("[[service]]", good):
        machine.file.write_text(text)
        wait(loop, 2 * LOOK_S)
        loop.handle(loop.events.get(timeout=5))

    assert [None, None] == [role.refused for role in loop.node.roles]


def test_one_accident_after_another_is_mended_at_once_each(machine: Machine, loop: Loop) -> None:
    """That is no fight: between two of them all is as it should be."""
    for _ in range(20):
        neighbours_flushed(machine)
        loop.handle(Touched(machine.eth0.interface.index))
        wait(loop, 2 * LOOK_S)

        assert {S11, S12} == machine.eth0.managed


def test_what_is_lost_right_after_it_was_mended_is_found_without_a_message(
    machine: Machine, loop: Loop
) -> None:
    neighbours_flushed(machine)
    loop.handle(Touched(machine.eth0.interface.index))
    wait(loop, LOOK_S)
    neighbours_flushed(machine)
    wait(loop, 2 * LOOK_S)

    assert {S11, S12} == machine.eth0.managed
