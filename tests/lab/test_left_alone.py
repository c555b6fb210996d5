"""A node that is left alone: whatever happens to its host, what it wants stands again (law 12)."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from remainder.errors import HostError
from remainder.flow import Address
from remainder.kernel import announce, libbpf, neighbours, netlink, pins
from remainder_lab import OneService, hold_sessions, one_service
from remainder_lab.heartbeat import Heartbeat
from remainder_lab.host import python_module
from remainder_lab.patience import patient
from remainder_lab.running import Running
from tests.lab.balancing import status

pytestmark = [pytest.mark.root, pytest.mark.bpf]

AGAIN_S: Final = 2.0
"""Within which everything that is wanted stands again."""

ANOTHER_MAC: Final = "02:00:5e:00:53:77"


@pytest.fixture(scope="module")
def scene() -> Iterator[OneService]:
    """Clients, router, a balancer that holds the VIPs, and two servers."""
    with one_service(servers=2, clients=4) as built:
        built.start_servers()
        yield built


class Standing(NamedTuple):
    """What stands on the balancer's host, as the kernel has it."""

    neighbours: dict[Address, tuple[bytes | None, bool]]
    """That are kept resolved: MAC, and whether it is valid."""
    vips: set[Address]
    has_program: bool
    is_pinned: bool


@dataclass
class Alone:
    """A balancer that runs, and what stands on its host."""

    scene: OneService
    path: Path
    process: Running
    index: int = field(init=False)
    wanted: Standing = field(init=False)

    @property
    def folder(self) -> Path:
        """Of its pins."""
        return pins.folder_of(self.scene.node)

    def standing(self) -> Standing:
        """What it wants of its host, as the kernel has it."""
        return self.scene.balancer.call(self._standing)

    def _standing(self) -> Standing:
        interface = netlink.interface_at(self.index)
        vips = set(map(ip_address, self.scene.vips.values()))
        return Standing(
            {
                found.address: (found.mac, found.valid)
                for found in neighbours.neighbours(interface.index).values()
                if found.managed
            },
            vips & set(netlink.addresses_on(interface.index)),
            interface.xdp_program is not None,
            self._found(),
        )

    def _found(self) -> bool:
        """Whether what is pinned is attached."""
        attached = pins.find(self.scene.node)
        if attached is None:
            return False
        try:
            return attached.is_pinned and attached.now_on() == self.index
        finally:
            attached.close()

    def __post_init__(self) -> None:
        self.index = self.scene.balancer.interface("eth0").index
        self.wanted = self.standing()

    def again(self) -> float:
        """How long it took until all of it stood again; infinite if it did not in time."""
        begun_s = time.monotonic()
        while time.monotonic() - begun_s < patient(AGAIN_S):
            try:
                if self.standing() == self.wanted:
                    return time.monotonic() - begun_s
            except (HostError, OSError):
                pass  # just being made anew
            time.sleep(0.05)
        return float("inf")

    def start(self) -> None:
        """Again, after it was killed."""
        self.process = self.scene.start_balancer(self.path)


@pytest.fixture
def alone(scene: OneService, tmp_path: Path) -> Iterator[Alone]:
    path = tmp_path / "r.toml"
    section = f'[[balancer]]\nname = "{scene.node}"\ninterface = "eth0"\nassign_vips = true\n\n'
    path.write_text(section + scene.config_text())
    process = scene.start_balancer(path)
    made = Alone(scene, path, process)
    assert [True] * 4 == [valid for _, valid in made.wanted.neighbours.values()]
    assert (2, True, True) == (len(made.wanted.vips), *made.wanted[2:])
    yield made
    made.process.terminate()


# --- what may happen to a host

Accident = Callable[[Alone], None]


def _link(alone: Alone, **changes: Any) -> None:
    alone.scene.balancer.netlink(lambda ip: ip.link("set", index=alone.index, **changes))


def link_flap(alone: Alone) -> None:
    _link(alone, state="down")
    time.sleep(0.1)
    _link(alone, state="up")


def cable(alone: Alone) -> None:
    wire = alone.scene.wires[next(iter(alone.scene.nodes))]
    wire.down()
    time.sleep(0.3)
    wire.up()


def neighbours_flushed(alone: Alone) -> None:
    def flush(ip: Any) -> None:
        for found in list(ip.get_neighbours(ifindex=alone.index)):
            ip.neigh("del", ifindex=alone.index, family=found["family"], dst=found.get("dst"))

    alone.scene.balancer.netlink(flush)


def vips_removed(alone: Alone) -> None:
    def remove(ip: Any) -> None:
        for version, vip in alone.scene.vips.items():
            ip.addr("del", index=alone.index, address=vip, prefixlen=32 if version == 4 else 128)

    alone.scene.balancer.netlink(remove)


def detached(alone: Alone) -> None:
    fd = libbpf.pinned(alone.folder / "link")
    libbpf.detach(fd)
    os.close(fd)


def pins_removed(alone: Alone) -> None:
    shutil.rmtree(alone.folder.parent)


def renamed(alone: Alone) -> None:
    """There and back: the wire of the lab is known by its name."""
    for name in ("wan0", "eth0"):
        _link(alone, state="down")
        _link(alone, ifname=name)
        _link(alone, state="up")
        time.sleep(0.3)


def killed(alone: Alone) -> None:
    os.kill(alone.process.pid, signal.SIGKILL)
    alone.process.wait(10)
    alone.start()


ACCIDENTS: Final = [
    link_flap,
    cable,
    neighbours_flushed,
    vips_removed,
    detached,
    pins_removed,
    renamed,
    killed,
]


@pytest.mark.parametrize("accident", ACCIDENTS)
def test_what_was_lost_stands_again_within_two_seconds(alone: Alone, accident: Accident) -> None:
    accident(alone)

    assert alone.again() < patient(AGAIN_S)
    with Heartbeat(alone.scene.clients, {v: alone.scene.echo(v) for v in (4, 6)}) as heart:
        begun_s = time.monotonic()
        time.sleep(0.5)
        assert {4: 0.0, 6: 0.0} == heart.interruptions_s(begun_s, time.monotonic())
    looked = status(alone.scene)
    assert looked["attached"]
    assert looked["trouble"] is None
    assert not any("Traceback" in line for line in alone.process.lines)


def test_a_server_that_moves_after_a_flap_is_followed(alone: Alone) -> None:
    """By gratuitous ARP alone: the entries are managed again."""
    link_flap(alone)
    assert alone.again() < patient(AGAIN_S)
    server = alone.scene.servers["s1"]
    before = server.mac("eth0")

    for mac in (ANOTHER_MAC, before):
        server.netlink(_move, mac)
        server.call(_gratuitous, mac)
        alone.process.wait_for(f"server 192.0.2.11 is at {mac}", timeout_s=10)


def _move(ip: Any, mac: str) -> None:
    (index,) = ip.link_lookup(ifname="eth0")
    ip.link("set", index=index, address=mac)


def _gratuitous(mac: str) -> None:
    raw = bytes.fromhex(mac.replace(":", ""))
    announce.announce(netlink.interface("eth0").index, raw, [ip_address("192.0.2.11")])


def test_a_stop_after_all_of_it_leaves_nothing(alone: Alone) -> None:
    for accident in (link_flap, vips_removed, detached, pins_removed):
        accident(alone)
        assert alone.again() < patient(AGAIN_S)
    alone.process.terminate()

    assert not alone.folder.parent.exists()
    assert Standing({}, set(), has_program=False, is_pinned=False) == alone.standing()


def test_an_operators_permanent_neighbour_is_used_and_left(
    scene: OneService, tmp_path: Path
) -> None:
    path = tmp_path / "r.toml"
    path.write_text(scene.config_text())
    mac = scene.servers["s1"].mac("eth0")

    def neighbour(ip: Any, command: str) -> None:
        (index,) = ip.link_lookup(ifname="eth0")
        ip.neigh(command, dst="192.0.2.11", lladdr=mac, ifindex=index, state=128)

    scene.balancer.netlink(neighbour, "replace")
    try:
        process = scene.start_balancer(path)
        known = scene.balancer.call(_known, scene)
        process.terminate()
        left = scene.balancer.call(_known, scene)
    finally:
        scene.balancer.netlink(neighbour, "del")

    assert known.permanent
    assert bytes.fromhex(mac.replace(":", "")) == known.mac
    assert known == left


def _known(scene: OneService) -> neighbours.Neighbour:
    index = netlink.interface("eth0").index
    return neighbours.neighbours(index)[ip_address("192.0.2.11")]


def test_more_servers_than_the_neighbour_table_holds_are_followed(
    scene: OneService, tmp_path: Path
) -> None:
    """1,024 is the most of other entries; ours do not count."""
    path = tmp_path / "r.toml"
    some = ", ".join(
        f'{{ name = "x{number}", address = "2001:db8:2::1:{number:x}" }}' for number in range(1200)
    )
    path.write_text(
        scene.config_text()
        + f"""
[[service]]
name = "many"
vip = "{scene.vips[6]}"
port = 443
protocol = "tcp"
key = "src_ip"
table = "modulo"
servers = [{some}]
"""
    )
    process = scene.start_balancer(path)
    managed = scene.balancer.call(_managed)
    process.send_signal(signal.SIGTERM)
    process.wait(60)

    assert 1204 == managed
    assert 0 == scene.balancer.call(_managed)


def _managed() -> int:
    index = netlink.interface("eth0").index
    return sum(found.managed for found in neighbours.neighbours(index).values())


def test_a_vip_is_never_the_source_of_the_hosts_own_connections(alone: Alone) -> None:
    """An IPv6 one is deprecated from the start (RFC 6724, rule 3)."""
    told = alone.scene.balancer.run(["ip", "-json", "route", "get", "2001:db8:2::11"]).stdout

    assert alone.scene.vips[6] != json.loads(told)[0]["prefsrc"]


def test_a_hidden_bpf_file_system_is_noticed_and_not_waited_for(
    scene: OneService, tmp_path: Path
) -> None:
    """``ip netns exec`` covers /sys: what is pinned outside cannot be detached from there."""
    path = tmp_path / "r.toml"
    path.write_text(scene.config_text())
    process = scene.start_balancer(path, "--keep")
    process.terminate()
    hidden = scene.balancer.run(
        ["unshare", "--mount", "sh", "-c",
         "mount -t sysfs sysfs /sys && "
         + " ".join(python_module("remainder", "detach", "--node", scene.node))],
    )  # fmt: skip
    attached = scene.balancer.call(_program)
    plain = scene.balancer.run(python_module("remainder", "detach", "--node", scene.node))

    assert 1 == hidden.returncode
    assert "no BPF file system is mounted" in hidden.stderr
    assert attached is not None
    assert 0 == plain.returncode
    assert None is scene.balancer.call(_program)


def _program() -> int | None:
    return netlink.interface("eth0").xdp_program


# --- all of it at random


SOAK_S: Final = float(os.environ.get("REMAINDER_SOAK_S", "20"))
"""``REMAINDER_SOAK_S=900`` is a quarter of an hour."""


class Held(NamedTuple):
    """What a process holds."""

    rss_mib: float
    descriptors: int
    threads: int
    pins: tuple[str, ...]


def _held(alone: Alone) -> Held:
    process = Path(f"/proc/{alone.process.pid}")
    fields = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    return Held(
        rss_mib=int(fields["VmRSS"].split()[0]) / 1024,
        descriptors=len(list((process / "fd").iterdir())),
        threads=int(fields["Threads"]),
        pins=tuple(sorted(path.name for path in alone.folder.rglob("*"))),
    )


@pytest.mark.timeout(int(SOAK_S) + 120)
def test_a_storm_of_accidents_leaves_everything_standing_and_nothing_behind(
    alone: Alone, capsys: pytest.CaptureFixture[str]
) -> None:
    """Sessions and datagrams go on; what is lost is the outage itself."""
    scene, dice = alone.scene, random.Random(27)
    heart = Heartbeat(scene.clients, {version: scene.echo(version) for version in (4, 6)})
    sessions = hold_sessions(
        scene.clients,
        scene.web(),
        sources=scene.client_addresses[4],
        sessions=120,
        interval_s=0.5,
        timeout_s=60,
    )
    took: dict[str, list[float]] = {accident.__name__: [] for accident in ACCIDENTS}
    lies: list[str] = []
    with sessions, heart:
        for accident in ACCIDENTS:  # each once before it counts what the process holds
            accident(alone)
            took[accident.__name__].append(alone.again())
        killed(alone)
        time.sleep(1)  # what belongs to a start is over
        before = _held(alone)
        until_s = time.monotonic() + SOAK_S
        while time.monotonic() < until_s:
            accident = dice.choice([one for one in ACCIDENTS if one is not killed])
            accident(alone)
            took[accident.__name__].append(alone.again())
            if took[accident.__name__][-1] > patient(AGAIN_S):
                lies.append(f"{accident.__name__}: {alone.standing()} {alone.process.lines[-9:]}")
                break
            time.sleep(0.6)  # accidents without a pause between them would be a fight
            told = scene.balancer.run(
                python_module("remainder", "status", "--node", scene.node, "--json")
            ).stdout
            (looked,) = json.loads(told).get("nodes", [{}])
            if (looked.get("attached"), looked.get("trouble")) != (True, None):
                lies.append(f"after {accident.__name__}: {told[:600]} {alone.process.lines[-3:]}")
        after = _held(alone)
        killed(alone)
        begun_s = time.monotonic()
        time.sleep(0.5)
        at_the_end = heart.interruptions_s(begun_s, time.monotonic())
        held = sessions.stop()
    lines = [line for process in scene.balancers for line in process.lines]
    with capsys.disabled():
        for name, times in took.items():
            typical_s = statistics.median(times)
            took_s = f"{typical_s:.2f} s, at most {max(times):.2f} s"
            print(f"\n{len(times):4} × {name:20} stands again after {took_s}", end="")
        print(f"\nbefore {before}, after {after}")

    assert [] == lies
    assert [] == [name for name, times in took.items() if max(times) > patient(AGAIN_S)]
    assert [] == [line for line in lines if "Traceback" in line]
    assert {4: 0.0, 6: 0.0} == at_the_end
    assert [] == [session for session in held if not session.ok]
    # A folder of pins is named by a number that counts up.
    assert [name for name in before.pins if not name.isdecimal()] == [
        name for name in after.pins if not name.isdecimal()
    ]
    assert len(before.pins) == len(after.pins)
    assert after.descriptors <= before.descriptors
    assert after.threads <= before.threads + 1  # one may wait for the readers of a table
    assert after.rss_mib < before.rss_mib + 6


# --- what the host refuses, and what takes long


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
        server.netlink(_move, ANOTHER_MAC)
        server.call(_gratuitous, ANOTHER_MAC)
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
        server.netlink(_move, before)
        server.call(_gratuitous, before)

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
    assert 0 == scene.balancer.call(_managed)


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
