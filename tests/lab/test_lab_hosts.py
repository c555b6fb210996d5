"""Do hosts, wires and segments hold what they promise, and leave nothing behind?

The lab itself: if it lies, no other test in it proves anything.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from remainder.errors import HostError
from remainder_lab import (
    End,
    Host,
    Segment,
    Wire,
    remove_leftovers,
)
from remainder_lab.ethtool import tx_checksum
from remainder_lab.host import uninterrupted
from remainder_lab.namespaces import FOLDER
from remainder_lab.running import MARK

root = pytest.mark.root
bpf = pytest.mark.bpf

SLEEP = ["sleep", "300"]

GREETER = """
import socket
server = socket.create_server(("::", 7777), family=socket.AF_INET6, dualstack_ipv6=True)
print("ready")
while True:
    visitor, _ = server.accept()
    visitor.send(b"hello")
    visitor.close()
"""
HELLO = [sys.executable, "-c", GREETER]
"""A server that says hello to everybody."""


def namespaces_of(pid: int) -> list[str]:
    return [path.name for path in FOLDER.glob(f"rmd-{pid}-*")] if FOLDER.exists() else []


def processes_of(prefix: str) -> list[int]:
    """Who carries the mark of a lab's namespace."""
    mark = f"{MARK}={prefix}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if any(entry.startswith(mark) for entry in path.read_bytes().split(b"\0")):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def namespace_here() -> int:
    return Path("/proc/thread-self/ns/net").stat().st_ino


def said(host: Host, address: str, port: int, *, patience_s: float = 2.0) -> str:
    """What a listener at the address says to a visitor from the host."""

    def ask() -> str:
        with socket.create_connection((address, port), timeout=patience_s) as connection:
            return connection.recv(100).decode()

    return host.call(ask)


# Hosts


@root
def test_a_host_is_a_namespace_that_ends_with_its_block() -> None:
    with Host("h") as host:
        inside = host.namespace

        assert f"rmd-{os.getpid()}-h" == inside
        assert (FOLDER / inside).exists()

    assert not (FOLDER / inside).exists()


@root
def test_two_hosts_of_one_name_are_two_namespaces() -> None:
    with Host("h") as one, Host("h") as other:
        assert one.namespace != other.namespace
        assert one.call(namespace_here) != other.call(namespace_here)


@root
def test_a_function_runs_inside_and_the_caller_stays_outside() -> None:
    before = namespace_here()
    with Host("h") as host:
        inside = host.call(namespace_here)

        assert (FOLDER / host.namespace).stat().st_ino == inside
        assert before == namespace_here()
        assert before != inside


@root
def test_what_a_function_inside_raises_reaches_the_caller() -> None:
    with Host("h") as host, pytest.raises(ZeroDivisionError):
        host.call(lambda: 1 // 0)


@root
def test_a_command_runs_inside_and_sees_the_bpf_file_system() -> None:
    with Host("h") as host:
        done = host.run(["stat", "-f", "-c", "%T", "/sys/fs/bpf"])
        links = host.run(["cat", "/proc/net/dev"]).stdout

        assert "bpf_fs\n" == done.stdout
        assert ["lo"] == [line.split(":")[0].strip() for line in links.splitlines()[2:]]


@root
def test_a_command_that_takes_too_long_is_an_error() -> None:
    with (
        Host("h") as host,
        pytest.raises(HostError, match=r"sleep 300 on h took longer than 0\.1 s"),
    ):
        host.run(SLEEP, limit_s=0.1)


@root
@pytest.mark.parametrize(
    "script",
    [
        "echo ready; sleep 300; true",
        "trap '' TERM; echo ready; sleep 300; sleep 300",
        "sleep 300 & setsid sleep 300 & echo ready; wait",
    ],
    ids=["plain", "deaf to SIGTERM", "with children and a daemon"],
)
def test_every_process_ends_with_its_host(script: str) -> None:
    with Host("h", grace_s=0.3) as host:
        process = host.popen(["sh", "-c", script])
        process.wait_for("ready")

        assert process.pid in processes_of(host.namespace)

    assert [] == processes_of(f"rmd-{os.getpid()}-")


@root
def test_a_process_that_ends_early_is_quoted() -> None:
    with Host("h") as host:
        process = host.popen(["sh", "-c", "echo no such luck >&2; exit 3"], title="the thing")

        with pytest.raises(HostError, match=r"the thing ended; it said:\n  no such luck"):
            process.wait_for("ready")
        assert 3 == process.wait(1)


@root
def test_a_sysctl_is_set_inside_alone() -> None:
    outside = Path("/proc/sys/net/ipv4/ip_default_ttl").read_text()
    with Host("h") as host:
        host.sysctl("net.ipv4.ip_default_ttl", 77)

        assert "77\n" == host.run(["cat", "/proc/sys/net/ipv4/ip_default_ttl"]).stdout
        assert outside == Path("/proc/sys/net/ipv4/ip_default_ttl").read_text()
        with pytest.raises(HostError, match=r"sysctl net\.no\.such = 1 failed"):
            host.sysctl("net.no.such", 1)


@root
def test_an_interface_that_is_not_there_is_an_error() -> None:
    with Host("h") as host, pytest.raises(HostError, match="host h has no interface eth7"):
        host.mac("eth7")


def test_a_host_outside_of_its_block_is_an_error() -> None:
    with pytest.raises(HostError, match="host h is used outside of its with block"):
        Host("h").run(["true"])


# Whatever happens, nothing stays


BUILD = """
import sys, time
from remainder_lab import SCENES
print("begun", flush=True)
with SCENES["one-service"](pass_all=lambda interface: None) as scene:
    scene.start_servers()
    print("built", flush=True)
    if sys.argv[1] == "raise":
        raise RuntimeError
    time.sleep(60)
"""


def building(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", BUILD, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def lines_until(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdout is not None
    for said_line in process.stdout:
        if said_line.strip() == line:
            return


@root
def test_an_exception_leaves_nothing_behind() -> None:
    with building("raise") as process:
        lines_until(process, "built")

        assert 1 == process.wait(10)
        assert [] == namespaces_of(process.pid)
        assert [] == processes_of(f"rmd-{process.pid}-")


@root
@pytest.mark.parametrize("after_s", [0.02, 0.1, 0.2, 0.3, 0.5, 0.8, 2.0])
def test_an_interrupt_at_any_moment_leaves_nothing_behind(after_s: float) -> None:
    with building("wait") as process:
        lines_until(process, "begun")
        time.sleep(after_s)
        process.send_signal(signal.SIGINT)
        process.wait(10)

        assert [] == namespaces_of(process.pid)
        assert [] == processes_of(f"rmd-{process.pid}-")


def clean_up(steps: list[str], number: signal.Signals) -> None:
    with uninterrupted():
        with uninterrupted():
            signal.raise_signal(number)
            signal.raise_signal(number)
            steps.append("inside")
        steps.append("outside")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_comes_while_cleaning_counts_when_that_is_done(
    number: signal.Signals,
) -> None:
    steps: list[str] = []
    before = signal.signal(number, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            clean_up(steps, number)

        assert ["inside", "outside"] == steps
        assert signal.default_int_handler is signal.getsignal(number)

        with uninterrupted():
            steps.append("no signal came")
    finally:
        signal.signal(number, before)


@root
def test_what_a_killed_lab_left_is_removed_and_what_lives_is_not() -> None:
    with Host("alive") as host, building("wait") as process:
        lines_until(process, "built")
        process.kill()
        process.wait(10)

        left = namespaces_of(process.pid)
        assert 8 == len(left)
        assert processes_of(f"rmd-{process.pid}-")

        removed = remove_leftovers()

        assert set(left) <= set(removed)
        assert host.namespace not in removed
        assert [] == namespaces_of(process.pid)
        assert [] == processes_of(f"rmd-{process.pid}-")


# Wires


@root
def test_two_hosts_on_a_wire_reach_each_other() -> None:
    with Host("a") as a, Host("b") as b:
        ends = (
            End(host=a, interface="to-b", addresses=["192.0.2.1/24", "2001:db8::1/64"]),
            End(host=b, interface="to-a", addresses=["192.0.2.2/24", "2001:db8::2/64"]),
        )
        with Wire(*ends, mtu=1400):
            b.popen(HELLO).wait_for("ready")

            assert "hello" == said(a, "192.0.2.2", 7777)
            assert "hello" == said(a, "2001:db8::2", 7777)
            assert 1400 == a.interface("to-b").mtu == b.interface("to-a").mtu


@root
def test_a_pulled_cable_costs_the_carrier_and_comes_back_with_every_route() -> None:
    with Host("a") as a, Host("b") as b:
        ends = (
            End(host=a, interface="eth0", addresses=["192.0.2.1/24", "2001:db8::1/64"]),
            End(host=b, interface="eth0", addresses=["192.0.2.2/24", "2001:db8::2/64"]),
        )
        with Wire(*ends) as wire:
            a.add_addresses("lo", ["198.51.100.1/32", "2001:db8:51::1/128"])
            b.add_route("198.51.100.0/24", via="192.0.2.1")
            b.add_route("2001:db8:51::/64", via="2001:db8::1")
            a.popen(HELLO).wait_for("ready")
            wire.down()

            assert not a.interface("eth0").carrier
            for address in ("198.51.100.1", "2001:db8:51::1"):
                with pytest.raises(OSError, match=r"unreachable|timed out"):
                    said(b, address, 7777)

            wire.up()

            assert a.interface("eth0").carrier
            assert "hello" == said(b, "198.51.100.1", 7777)
            assert "hello" == said(b, "2001:db8:51::1", 7777)


@root
def test_the_far_end_of_an_xdp_interface_is_made_ready_and_the_near_end_is_not() -> None:
    readied: list[tuple[int, str]] = []

    def record(interface: str) -> None:
        readied.append((namespace_here(), interface))

    with Host("a") as a, Host("b") as b:
        ends = (End(host=a, interface="xdp0", xdp=True), End(host=b, interface="far0"))
        with Wire(*ends, pass_all=record):
            assert [(b.call(namespace_here), "far0")] == readied
            assert not b.call(tx_checksum, "far0")
            assert a.call(tx_checksum, "xdp0")


@root
def test_hosts_on_a_segment_reach_each_other_until_one_is_unplugged() -> None:
    with (
        Host("a") as a,
        Host("b") as b,
        Segment() as segment,
        segment.wired(a, addresses=["192.0.2.1/24"]),
        segment.wired(b, addresses=["192.0.2.2/24"]) as wire,
    ):
        segment.introduce()
        b.popen(HELLO).wait_for("ready")

        assert "hello" == said(a, "192.0.2.2", 7777)

        wire.down()

        assert not b.interface("eth0").carrier
        with pytest.raises(TimeoutError):
            said(a, "192.0.2.2", 7777, patience_s=0.5)

        wire.up()

        assert "hello" == said(a, "192.0.2.2", 7777)


@root
def test_a_silenced_host_keeps_its_carrier_and_is_heard_again() -> None:
    with (
        Host("a") as a,
        Host("b") as b,
        Segment() as segment,
        segment.wired(a, addresses=["192.0.2.1/24"]),
        segment.wired(b, addresses=["192.0.2.2/24"]),
    ):
        segment.introduce()
        b.popen(HELLO).wait_for("ready")
        segment.silence(b)

        assert b.interface("eth0").carrier
        with pytest.raises(TimeoutError):
            said(a, "192.0.2.2", 7777, patience_s=0.5)

        segment.hear(b)

        assert "hello" == said(a, "192.0.2.2", 7777)
