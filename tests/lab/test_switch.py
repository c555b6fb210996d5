"""The switch: hosts find each other, frames stay whole, and nothing goes to the wrong port."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import ip_address

import pytest

from remainder.flow import Flow
from remainder.kernel import libbpf
from remainder_bench.flood_programs import Dam, Sender, syn_of
from remainder_lab import Host
from remainder_lab.host import python_module
from remainder_lab.patience import patient
from remainder_lab.switch import MAC, Switch

pytestmark = [pytest.mark.root, pytest.mark.bpf]

ADDRESSES = {"a": "192.0.2.1", "b": "192.0.2.2", "c": "192.0.2.3"}


@pytest.fixture
def switch() -> Iterator[tuple[Switch, dict[str, Host]]]:
    with ExitStack() as stack:
        built = stack.enter_context(Switch())
        hosts = {name: stack.enter_context(Host(name)) for name in ADDRESSES}
        for name, host in hosts.items():
            stack.enter_context(built.wired(host, addresses=[f"{ADDRESSES[name]}/24"]))
        yield built, hosts


def test_hosts_find_each_other_by_broadcast_and_speak_tcp(
    switch: tuple[Switch, dict[str, Host]],
) -> None:
    """No address is told beforehand: ARP works, and so do checksums, both ways."""
    _, hosts = switch
    server = hosts["b"].popen(python_module("remainder_lab.servers", "--name=b", "--bind=0.0.0.0"))
    server.wait_for("ready")
    for name in ("a", "c"):
        done = hosts[name].run(
            [
                *(sys.executable, "-m", "remainder_lab.clients", "transfer"),
                *("--target", f"{ADDRESSES['b']}:80", "--sources", ADDRESSES[name]),
                *("--size", "1000000"),
            ]
        )

        assert 2 == done.stdout.count('"errors": []'), done.stdout + done.stderr


def test_a_mac_address_says_its_port(switch: tuple[Switch, dict[str, Host]]) -> None:
    _, hosts = switch

    assert [MAC.format(number) for number in range(3)] == [
        host.mac("eth0") for host in hosts.values()
    ]


def test_a_flood_keeps_its_pace_and_reaches_whom_it_is_sent_to(
    switch: tuple[Switch, dict[str, Host]],
) -> None:
    """A fifth of a second, at a pace that any machine holds; frames to nobody are dropped.

    A queue holds 256 frames, a twentieth of a second: a few may be lost on a busy machine.
    """
    _, hosts = switch
    mac = {name: host.mac_bytes("eth0") for name, host in hosts.items()}
    flow = Flow(ip_address("198.18.0.0"), 1024, ip_address(ADDRESSES["c"]), 80, 6)
    dam, other, sender = Dam(), Dam(), Sender()
    with ExitStack() as stack:
        for loaded in (dam, other, sender):
            stack.callback(loaded.close)
        for name, loaded in (("c", dam), ("b", other)):
            index = hosts[name].interface("eth0").index
            link = hosts[name].call(libbpf.attach, loaded.program_fd, index, "native")
            stack.callback(libbpf.detach, link)
        index = hosts["a"].interface("eth0").index
        for target in (mac["c"], b"\x02\0\x5e\0\x53\x3f"):
            frame = syn_of(flow, source_mac=mac["a"], destination_mac=target)
            sent = hosts["a"].call(
                sender.send, frame, ifindex=index, per_s=5_000, packets=1_000, first=0
            )

            assert 1_000 == sent.packets
            assert 0.19 <= sent.took_s
        deadline_s = time.monotonic() + patient(5)
        while dam.packets() < 1_000 and time.monotonic() < deadline_s:
            time.sleep(0.05)

        assert 900 <= dam.packets() <= 1_000
        assert 0 == other.packets()
