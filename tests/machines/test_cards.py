"""Each network card: native, generic or refused, with the reason; and real sessions through it.

One boot per kernel with all cards; the lab's scene around it, on the host.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import nullcontext

import pytest

from remainder.errors import HostError
from remainder_lab.tagging import VLAN
from tests.machines import cards, kernels, report
from tests.machines.cards import CARDS, DEVICES, MTUS, SESSIONS, TAGGED, UNDER, Guest, Passed
from tests.machines.kernels import KERNELS, Kernel

pytestmark = [
    pytest.mark.machines, pytest.mark.release, pytest.mark.root, pytest.mark.slow,
    pytest.mark.timeout(900), pytest.mark.parametrize("booted", KERNELS, indirect=True),
]  # fmt: skip

KILLED = ("virtio_net", "igb")
IN_A_VLAN = ("virtio_net", "igb", "vmxnet3", "e1000e")


@pytest.fixture(scope="module")
def booted(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Kernel, Guest]]:
    kernel = kernels.kernel(request.param)
    with cards.guest(kernel, tmp_path_factory.mktemp("cards")) as guest:
        yield kernel, guest


def told(said: str) -> str:
    """How it runs, by the product's own words: ``native``, or another mode and the sentence."""
    mode = re.search(r"\((native|generic) XDP\)", said)
    if mode is None:
        return f"refused: {report.sentence(said.strip().splitlines()[-1])}"
    if mode[1] == "native":
        return "native"
    why = re.search(r"^warning: \S+ .*generic mode[^:]*: (.*)$", said, re.MULTILINE)
    return f"generic: {report.sentence(why[1])}" if why else "generic, and no reason is given"


def broken(passed: Passed) -> str:
    """What did not come through, or went elsewhere than the calculation says; empty if all did."""
    failed = [session.errors for session in passed.sessions if not session.ok]
    if failed or len(passed.sessions) != SESSIONS:
        return f"{len(failed)} of {SESSIONS} sessions broken, the first by {failed[:1]}"
    if passed.wrong:
        return f"{len(passed.wrong)} of {SESSIONS} sessions misdirected: {passed.wrong[0]}"
    return "" if passed.whole else "bodies did not come through whole"


def tried(
    booted: tuple[Kernel, Guest], question: str, name: str, *, vlan: int | None = None
) -> None:
    """Start on an interface with the balancer's addresses, send traffic, stop; note and judge."""
    kernel, guest = booted
    pid, said = guest.start(name, vlan=vlan)
    how, lost = told(said), ""
    if pid:
        try:
            lost = broken(guest.traffic())
        except HostError as error:  # time is over
            lost = str(error)
        finally:
            guest.stop(pid)
    report.note(question, kernel, how + (f"; **{lost.split(',')[0]}**" if lost else ""))

    assert how == "native" or ": " in how, said
    assert "" == lost


@pytest.mark.parametrize("mtu", MTUS)
@pytest.mark.parametrize("card", CARDS)
def test_a_card_carries_sessions_or_says_why_not(
    booted: tuple[Kernel, Guest], card: str, mtu: int
) -> None:
    _, guest = booted
    name = f"eth{list(CARDS).index(card)}"
    guest.plug(name, mtu)
    try:
        tried(booted, f"{card}, MTU {mtu:,}", name)
    finally:
        guest.unplug(name)


@pytest.mark.parametrize("card", KILLED)
def test_a_killed_balancer_is_taken_over_under_traffic(
    booted: tuple[Kernel, Guest], card: str
) -> None:
    kernel, guest = booted
    name = f"eth{list(CARDS).index(card)}"
    guest.plug(name)
    try:
        pid, said = guest.start(name)
        assert pid, said
        second, sessions = guest.killed_under_traffic(name, pid)
        guest.stop(second)
    finally:
        guest.unplug(name)
    failed = [session.errors for session in sessions if not session.ok]
    report.note(
        f"{card}: kill -9 and takeover", kernel, f"{len(failed)} of {len(sessions)} sessions broken"
    )

    assert second not in (0, pid), said
    assert SESSIONS == len(sessions)
    assert [] == failed


@pytest.mark.parametrize("card", IN_A_VLAN)
def test_a_card_keeps_the_tags_of_a_vlan(booted: tuple[Kernel, Guest], card: str) -> None:
    """The balancer is on the card; addresses, clients and servers are in a VLAN over it."""
    _, guest = booted
    number = list(CARDS).index(card)
    name = f"eth{number}"
    guest.ask(f"ip link set {name} up; ip link add link {name} name top type vlan id {VLAN}")
    try:
        with guest.tagged(number):
            guest.plug("top")
            tried(booted, f"{card}, tagged frames", name, vlan=VLAN)
    finally:
        guest.ask(f"ip link del top; ip link set {name} down")


@pytest.mark.parametrize("device", DEVICES)
def test_a_device_over_cards_carries_sessions_or_says_why_not(
    booted: tuple[Kernel, Guest], device: str
) -> None:
    _, guest = booted
    guest.ask(f"ip link set eth0 down; ip link set eth1 down; {DEVICES[device]}")
    try:
        with guest.tagged(0) if device in TAGGED else nullcontext():
            guest.plug("top")
            tried(booted, device, UNDER.get(device, "top"))
    finally:
        guest.ask("ip link del top; ip link set eth0 down nomaster; ip link set eth1 down nomaster")
