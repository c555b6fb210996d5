"""What the host refuses, and what takes long, ends no process."""

from __future__ import annotations

import resource
import signal
import time
from pathlib import Path

import pytest

from remainder.kernel import pins
from remainder_lab import OneService
from remainder_lab.patience import patient
from tests.lab.balancing import status
from tests.lab.left_alone.alone import (
    ANOTHER_MAC,
    Alone,
    gratuitous,
    managed_entries,
    move,
    vips_removed,
)

pytestmark = [pytest.mark.root, pytest.mark.bpf]


def test_reading_a_large_bad_file_holds_up_neither_a_servers_new_mac_nor_the_end(
    alone: Alone,
) -> None:
    server = alone.scene.servers["s1"]
    before = server.mac("eth0")
    services = "".join(
        f'\n[[service]]\nname = "w{number}"\nvip = "203.0.113.9"\nport = {number}\n'
        f'protocol = "tcp"\nkey = "src_ip"\ntable = "modulo"\n'
        f'servers = [{{ name = "s1", address = "192.0.2.11" }}]\n'
        for number in range(1, 16_000)
    )
    good = alone.path.read_text()
    try:
        alone.path.write_text(good + services + "\n[[service]]\n")
        time.sleep(0.75)  # it is being read now
        server.netlink(move, ANOTHER_MAC)
        server.call(gratuitous, ANOTHER_MAC)
        begun_s = time.monotonic()
        alone.process.wait_for(f"server 192.0.2.11 is at {ANOTHER_MAC}", timeout_s=10)
        took_s = time.monotonic() - begun_s
        rejected = any("new file rejected" in line for line in alone.process.lines)
        alone.path.write_text(good + services + "\n[[service]]\n\n")
        time.sleep(0.75)
        begun_s = time.monotonic()
        alone.process.send_signal(signal.SIGTERM)
        alone.process.wait(30)
        ended_s = time.monotonic() - begun_s
    finally:
        server.netlink(move, before)
        server.call(gratuitous, before)

    assert took_s < patient(1.5)
    assert not rejected  # else it was not being read
    assert ended_s < patient(2.5)


def test_neither_sighup_nor_sigterm_harms_a_process_that_is_not_ready(
    scene: OneService, tmp_path: Path
) -> None:
    path = tmp_path / "r.toml"
    path.write_text(scene.config_text().replace("192.0.2.12", "192.0.2.99"))
    name = next(iter(scene.nodes))
    process = scene.launch_balancer(name, path)
    for _ in range(100):
        if process.poll() is None and Path(f"/run/remainder/{scene.node}.lock").exists():
            process.send_signal(signal.SIGHUP)
        time.sleep(0.02)
    process.wait_for("ready")
    process.terminate()

    process = scene.launch_balancer(name, path)
    while not Path(f"/run/remainder/{scene.node}.lock").exists():
        time.sleep(0.02)
    time.sleep(0.5)  # it waits for the server that does not answer
    process.send_signal(signal.SIGTERM)
    process.wait(10)

    assert not any("Traceback" in line for line in process.lines)
    assert not (pins.folder_of(scene.node)).exists()
    assert 0 == scene.balancer.call(managed_entries)


def test_a_process_without_descriptors_left_says_so_and_goes_on(alone: Alone) -> None:
    limits = resource.prlimit(alone.process.pid, resource.RLIMIT_NOFILE)
    held = len(list(Path(f"/proc/{alone.process.pid}/fd").iterdir()))
    resource.prlimit(alone.process.pid, resource.RLIMIT_NOFILE, (held, limits[1]))
    vips_removed(alone)
    refused = alone.process.wait_for("warning: ", timeout_s=15)
    while "Too many open files" not in refused:
        refused = alone.process.wait_for("warning: the kernel's network configuration")
    resource.prlimit(alone.process.pid, resource.RLIMIT_NOFILE, limits)

    assert "Too many open files" in refused
    begun_s = time.monotonic()
    while alone.again() == float("inf"):
        assert time.monotonic() - begun_s < patient(10)
    assert status(alone.scene)["trouble"] is None
