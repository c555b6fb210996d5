"""The loop of a node: what makes it look, and how often; how a file is read."""

from __future__ import annotations

import queue
from ipaddress import ip_address

import pytest

from remainder.kernel.monitor import Learned, Touched
from remainder.kernel.neighbours import Neighbour
from remainder.roles.loop import AGAIN_S, LOOK_S, TEND_S, Loop, Request
from tests.unit.roles.losses import (
    ASSIGNED,
    S11,
    S12,
    a_program_detached,
    a_vip_removed,
    neighbours_flushed,
    started,
)
from tests.unit.roles.machine import Machine, back, balancer, web


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
