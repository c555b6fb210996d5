"""The service manager hears of a node what became of it, from ready to stopping."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from remainder.observe.notify import Notify
from remainder.roles.loop import serve
from tests.unit.roles.machine import Machine, balancer, web

SIGNALS = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Those of signals are put back afterwards."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class Manager:
    """Reads all the time, as systemd does; first lines of what it was told."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.told: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._socket.settimeout(30)
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        while self.told[-1:] != ["STOPPING=1"]:
            self.told.append(self._socket.recv(4096).decode().partition("\n")[0])

    def end(self) -> list[str]:
        self._thread.join(30)
        self._socket.close()
        return self.told


def test_a_manager_is_told_of_start_reload_refusal_and_stop(
    machine: Machine, tmp_path: Path
) -> None:
    machine.write(web(1, 2), balancer())
    node = machine.start()
    first = node.roles[0].plan.fingerprint[:12]
    manager = Manager(tmp_path / "notify")
    turns = iter([[web(1, 2), balancer()], [web(1, 2), "nonsense"], [web(1), balancer()]])

    class Turning(Notify):
        """Whenever it is ready, the next file or the end comes."""

        def ready(self) -> None:
            super().ready()
            sections = next(turns, None)
            if sections is not None:
                machine.write(*sections)
            os.kill(os.getpid(), signal.SIGHUP if sections is not None else signal.SIGTERM)

    notify = Turning(manager.path, watchdog_s=3600)
    serve(node, ready=lambda: None, published=lambda: None, notify=notify)
    notify.close()
    last = node.roles[0].plan.fingerprint[:12]
    told = manager.end()

    assert first != last
    refused = told.pop(6)

    assert refused.startswith("STATUS=file rejected, still running the previous one: ")
    assert "r.toml:" in refused
    assert [
        f"STATUS=balancer on eth0, tables {first}",
        "READY=1",
        "WATCHDOG=1",
        *("RELOADING=1", "READY=1"),  # the same file
        *("RELOADING=1", "READY=1"),
        *("RELOADING=1", f"STATUS=balancer on eth0, tables {last}", "READY=1"),
        "STOPPING=1",
    ] == told


def test_a_node_that_nobody_manages_is_served_all_the_same(
    machine: Machine,
) -> None:
    machine.write(web(1, 2), balancer())
    node = machine.start()

    def stop() -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    serve(node, ready=stop, published=lambda: None)


def test_a_node_whose_interface_is_gone_is_not_shown_as_running(machine: Machine) -> None:
    machine.write(web(1, 2), balancer())
    node = machine.start()
    machine.kernel.remove("eth0")
    shown: list[str] = []

    class Showing(Notify):
        """Ends when it is ready."""

        def status(self, text: str) -> None:
            shown.append(text)

        def ready(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    serve(node, ready=lambda: None, published=lambda: None, notify=Showing())

    assert {"interface eth0 disappeared; waiting for it"} == set(shown)
