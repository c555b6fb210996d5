"""A guest with network cards, as the balancer of the lab's scene: its segment ends in taps.

The scene is the lab's own (clients, router, servers); its balancer is unplugged, and the guest
takes its addresses, on one card after the other.  The guest does what a file in the shared
folder asks for, one question after the other.
"""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from remainder.plan import make_plan
from remainder.sources.file import load
from remainder_lab import numbering, tagging
from remainder_lab.one_service import OneService, one_service
from remainder_lab.segment import BRIDGE
from remainder_lab.traffic import Session, hold_sessions, http_sessions, transfer
from tests.machines import emulator, machine
from tests.machines.kernels import Kernel

CARDS: Final[Mapping[str, tuple[str, str]]] = {
    "virtio_net": ("", "virtio-net-pci,speed=10000,duplex=full"),
    "virtio_net, 4 queues": (
        ",queues=4",
        "virtio-net-pci,mq=on,vectors=10,speed=10000,duplex=full",
    ),
    "virtio_net, offloads fixed": ("", "virtio-net-pci,ctrl_guest_offloads=off"),
    "igb": ("", "igb"),
    "vmxnet3": ("", "vmxnet3"),
    "e1000e": ("", "e1000e"),
}
"""Name → (options of the tap, qemu's device)."""

_BRIDGE: Final = "ip link add top type bridge forward_delay 0; ip link set eth0 master top up"

DEVICES: Final[Mapping[str, str]] = {
    "VLAN": "ip link set eth0 up; ip link add link eth0 name top type vlan id 5",
    **{
        f"bond mode {number} ({mode})": (
            f"ip link add top type bond mode {mode} miimon 100; "
            f"ip link set eth0 master top; ip link set eth1 master top"
        )
        for number, mode in {
            1: "active-backup", 4: "802.3ad", 5: "balance-tlb", 6: "balance-alb",
        }.items()
    },
    "bridge": _BRIDGE,
    "port of a bridge": _BRIDGE,
    "macvlan": "ip link set eth0 up; ip link add link eth0 name top type macvlan mode bridge",
}  # fmt: skip
"""Name → how it is made, over cards of virtio_net; it is called ``top``."""

UNDER: Final = {"port of a bridge": "eth0"}
"""Devices whose addresses are on ``top``, and where the balancer runs then."""

TAGGED: Final = ("VLAN",)
"""Devices to which the switch's port sends tagged frames."""

DRIVERS: Final = ("virtio_net", "igb", "vmxnet3", "e1000e", "8021q", "bonding", "bridge", "macvlan")
MTUS: Final = (1500, 9000)
KEY: Final = "src_ip + src_port + dst_ip + dst_port + protocol"
SESSIONS: Final = 24
TRANSFER_BYTES: Final = 2_000_000
ASK_LIMIT_S: Final = 300

_IN_A_VLAN: Final = """
[[balancer]]
name = "cards"
interface = "{name}"
vlan = {vlan}
"""

_AGENT: Final = """
number=1
while :; do
	while [ ! -e /run/job/ask.$number ]; do sleep 0.1; done
	sh /run/job/ask.$number >/run/job/said.$number 2>&1
	echo $? >/run/job/done.$number
	number=$((number + 1))
done
"""


@dataclass(frozen=True)
class Passed:
    """What went through a card."""

    sessions: list[Session]
    wrong: list[str]
    """sessions that met another server than the calculation names"""
    whole: bool
    """uploads and downloads"""


class Guest:
    """The balancer's place on a card."""

    def __init__(self, job: Path, scene: OneService, process: subprocess.Popen[bytes]) -> None:
        self.job = job
        self.scene = scene
        self._process = process
        self._number = 0
        self._runs = 0
        self._file = (job / "r.toml").read_text(encoding="utf-8")

    def ask(self, command: str) -> tuple[int, str]:
        """(status, words) of a command in the guest."""
        self._number += 1
        done = self.job / f"done.{self._number}"
        new = self.job / "ask.new"
        ip = shlex.join(emulator.command("ip"))
        script = f'cd {machine.ROOT}\nip() {{ {ip} "$@"; }}\n{command}\n'
        new.write_text(script, encoding="utf-8")
        new.rename(self.job / f"ask.{self._number}")
        deadline_s = time.monotonic() + ASK_LIMIT_S
        while not (done.exists() and done.read_text().strip()):
            if time.monotonic() > deadline_s or self._process.poll() is not None:
                raise machine.MachineError(
                    f"no answer to: {command}\n{machine.last_words(self.job)}"
                )
            time.sleep(0.05)
        said = (self.job / f"said.{self._number}").read_text(encoding="utf-8", errors="replace")
        return int(done.read_text()), said

    def plug(self, name: str, mtu: int = 1500) -> None:
        """Give an interface the balancer's addresses, and all others its MTU."""
        for host in (self.scene.clients, *self.scene.servers.values()):
            host.netlink(_set_mtu, mtu)
        words = [f"ip link set {name} mtu {mtu} up"]
        for version in self.scene.versions:
            address = numbering.on_segment("balancer", version)
            nodad = " nodad" if version == 6 else ""
            words += [
                f"ip addr add {address} dev {name}{nodad}",
                f"ip -{version} route add default via {numbering.ROUTER[version]} dev {name}",
            ]
        status, said = self.ask(" && ".join(words))
        if status:
            raise machine.MachineError(f"{name} with MTU {mtu}: {said}")
        self.scene.router.netlink(_forget_balancer)

    def unplug(self, name: str) -> None:
        """Take the addresses away again."""
        self.ask(f"ip addr flush dev {name}; ip link set {name} down mtu 1500")

    @contextmanager
    def tagged(self, card: int) -> Iterator[None]:
        """The port of a card is in a VLAN, and takes nothing that has not its tag."""
        host = self.scene.segment.host
        host.call(tagging.begin, f"tap{card}")
        try:
            yield
        finally:
            host.call(tagging.end, f"tap{card}")

    def start(self, name: str, *, vlan: int | None = None) -> tuple[int, str]:
        """(pid, what it said) of ``remainder run`` on a card, ready or refused (pid 0)."""
        self._runs += 1
        file = (
            self._file
            if vlan is None
            else f"{self._file}\n{_IN_A_VLAN.format(name=name, vlan=vlan)}"
        )
        (self.job / "r.toml").write_text(file, encoding="utf-8")
        log = f"/run/job/run.{self._runs}"
        _, said = self.ask(
            f".venv/bin/remainder run /run/job/r.toml --interface {name} --node cards "
            f">{log} 2>&1 & pid=$!\n"
            f"while kill -0 $pid 2>/dev/null && ! grep -qs ^ready {log}; do sleep 0.2; done\n"
            f"kill -0 $pid 2>/dev/null && echo $pid || echo 0"
        )
        return int(said), (self.job / f"run.{self._runs}").read_text(encoding="utf-8")

    def stop(self, pid: int) -> None:
        """End ``remainder run``, and wait for it; 0 is one that was refused."""
        if pid:  # to kill, 0 means the whole group, with the agent
            self.ask(f"kill {pid}; while kill -0 {pid} 2>/dev/null; do sleep 0.2; done")

    def traffic(self) -> Passed:
        """Sessions and bodies through the card."""
        plan = make_plan(load(self.job / "r.toml"))
        clients, target = self.scene.clients, self.scene.web()
        sources = self.scene.client_addresses[4]
        sessions = http_sessions(
            clients, target, sources=sources, sessions=SESSIONS, timeout_s=30, limit_s=120
        )
        bodies = (
            transfer(clients, target, source=sources[0], length=TRANSFER_BYTES, timeout_s=120)
            if all(session.ok for session in sessions)
            else []  # each would only wait for its time to be over
        )
        return Passed(
            sessions=sessions,
            wrong=[
                f"{session.flow} met {session.servers}"
                for session in sessions
                if session.ok and set(session.servers) != {plan.where(session.flow).owner}
            ],
            whole=all(body.ok for body in bodies) and len(bodies) == 2,
        )

    def killed_under_traffic(self, name: str, pid: int) -> tuple[int, list[Session]]:
        """kill -9 and takeover while sessions are open: (new pid, what they saw)."""
        with hold_sessions(
            self.scene.clients,
            self.scene.web(),
            sources=self.scene.client_addresses[4],
            sessions=SESSIONS,
            timeout_s=60,
            limit_s=600,
        ) as held:
            self.ask(f"kill -9 {pid}")
            time.sleep(2)
            second, _ = self.start(name)
            time.sleep(2)
            return second, held.stop()


def _forget_balancer(ip: Any) -> None:
    """The router asks anew who has the balancer's addresses."""
    for version, address in numbering.BALANCER.items():
        for found in ip.get_neighbours(family={4: 2, 6: 10}[version], dst=address):
            ip.neigh("del", dst=address, ifindex=found["ifindex"])


def _set_mtu(ip: Any, mtu: int) -> None:
    (index,) = ip.link_lookup(ifname="eth0")
    ip.link("set", index=index, mtu=mtu)


def _join(ip: Any, name: str) -> None:
    (bridge,), (tap,) = ip.link_lookup(ifname=BRIDGE), ip.link_lookup(ifname=name)
    ip.link("set", index=tap, mtu=max(MTUS), master=bridge, state="up")


@contextmanager
def guest(kernel: Kernel, job: Path) -> Iterator[Guest]:
    """The scene and the guest, with all cards, none plugged in."""
    with one_service(servers=3, clients=20, mtu=max(MTUS)) as scene:
        (job / "r.toml").write_text(scene.config_text(key=KEY), encoding="utf-8")
        scene.segment.silence(scene.balancer)
        scene.start_servers()
        words: list[str] = []
        for number, (tap, device) in enumerate(CARDS.values()):
            scene.segment.host.run(
                [
                    *emulator.command("ip"), "tuntap", "add", f"tap{number}", "mode", "tap",
                    "vnet_hdr", *(["multi_queue"] if tap else []),
                ]
            )  # fmt: skip
            scene.segment.host.netlink(_join, f"tap{number}")
            place = f"netdev=n{number},mac=02:00:00:00:0c:{number:02x},bus=port{number}"
            words += [
                "-netdev", f"tap,id=n{number},ifname=tap{number},script=no,downscript=no{tap}",
                "-device", f"pcie-root-port,id=port{number},chassis={number + 1}",
                "-device", f"{device},{place},romfile=",
            ]  # fmt: skip
        with machine.running(
            kernel, job, _AGENT, more=words, modules=DRIVERS, inside=scene.segment.host.inside([])
        ) as process:
            yield Guest(job, scene, process)
