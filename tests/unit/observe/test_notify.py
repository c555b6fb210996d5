"""What is told to a service manager arrives on a real socket, and never holds anything up."""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from remainder.observe.notify import MOST_OF_A_STATUS, Notify


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """($NOTIFY_SOCKET, the socket behind it), as systemd makes it."""
    name = f"remainder-test-{os.getpid()}" if request.param == "abstract" else ""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name}" if name else str(tmp_path / "notify"))
        listening.settimeout(5)
        yield (f"@{name}" if name else str(tmp_path / "notify")), listening


def heard(listening: socket.socket) -> list[str]:
    """Every datagram that is there."""
    found = []
    listening.settimeout(0)
    try:
        while True:
            found.append(listening.recv(4096).decode())
    except BlockingIOError:
        return found


def test_a_life_is_told_from_ready_to_stopping(manager: tuple[str, socket.socket]) -> None:
    address, listening = manager
    notify = Notify.from_environment({"NOTIFY_SOCKET": address})
    notify.ready()
    notify.status("balancer on eth0")
    notify.reloading()
    notify.ready()
    notify.stopping()
    ready, status, reloading, again, stopping = heard(listening)
    notify.close()

    assert notify.listens is False
    assert ("READY=1", "STATUS=balancer on eth0", "READY=1", "STOPPING=1") == (
        ready,
        status,
        again,
        stopping,
    )
    assert re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=\d+", reloading)


def test_a_status_is_one_line_and_told_only_if_it_is_news(
    manager: tuple[str, socket.socket],
) -> None:
    address, listening = manager
    notify = Notify(address)
    for text in ("one\nREADY=1\x1b[2K", "one\nREADY=1\x1b[2K", "x" * 5_000, "\udcff"):
        notify.status(text)
    told = heard(listening)
    notify.close()

    assert [r"STATUS=one\nREADY=1\x1b[2K", f"STATUS={'x' * MOST_OF_A_STATUS}…"] == told[:2]
    assert [r"STATUS=\udcff"] == told[2:]


def test_the_watchdog_hears_four_times_per_deadline_however_often_it_is_called(
    manager: tuple[str, socket.socket],
) -> None:
    address, listening = manager
    clock = [0.0]
    notify = Notify(address, watchdog_s=8.0, now_s=lambda: clock[0])
    for tenth in range(160):
        clock[0] = tenth / 10
        notify.watchdog()
    told = heard(listening)
    notify.close()

    assert ["WATCHDOG=1"] * 8 == told


@pytest.mark.parametrize(
    ("given", "deadline_s"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_deadline_is_that_of_the_environment_if_it_is_meant_for_us(
    given: dict[str, str], deadline_s: float | None
) -> None:
    assert deadline_s == Notify.from_environment(dict(given)).watchdog_s


def test_what_is_for_us_is_not_left_to_our_children() -> None:
    environment = {
        "NOTIFY_SOCKET": "@x",
        "WATCHDOG_USEC": "1000000",
        "WATCHDOG_PID": "7",
        "HOME": "/root",
    }

    assert Notify.from_environment(environment).listens
    assert {"HOME": "/root"} == environment


@pytest.mark.parametrize("address", [None, "", "@", "/", "vsock:2:1234", "relative", "/absent/x"])
def test_where_nobody_listens_nothing_fails(address: str | None) -> None:
    notify = Notify(address, watchdog_s=0.0)
    notify.ready()
    notify.status("x")
    notify.watchdog()
    notify.stopping()
    notify.close()
    notify.ready()

    assert not notify.listens


def test_a_manager_that_does_not_read_holds_nobody_up(manager: tuple[str, socket.socket]) -> None:
    """Its queue is full after a few; a sender that waited would hang here."""
    address, listening = manager
    notify = Notify(address)
    for number in range(10_000):
        notify.status(str(number))
    told = heard(listening)
    notify.status("9999")
    again = heard(listening)
    notify.close()

    assert "STATUS=0" == told[0]
    assert len(told) < 10_000
    assert ["STATUS=9999"] == again  # not taken for told, since it was lost


def test_what_is_told_once_waits_for_a_manager_that_is_busy(
    manager: tuple[str, socket.socket],
) -> None:
    address, listening = manager
    notify = Notify(address)
    for number in range(10_000):
        notify.status(str(number))
    reader = threading.Timer(0.2, listening.recv, (4096,))
    reader.start()
    notify.ready()
    reader.join(5)
    told = heard(listening)
    notify.close()

    assert "READY=1" == told[-1]
