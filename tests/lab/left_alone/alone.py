"""A balancer that is left alone, what stands on its host, and what may happen to it."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, NamedTuple

from remainder.errors import HostError
from remainder.flow import Address
from remainder.kernel import announce, libbpf, neighbours, netlink, pins
from remainder_lab import OneService
from remainder_lab.patience import patient
from remainder_lab.running import Running

AGAIN_S: Final = 2.0
"""Within which everything that is wanted stands again."""

ANOTHER_MAC: Final = "02:00:5e:00:53:77"


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


@contextmanager
def left_alone(scene: OneService, path: Path) -> Iterator[Alone]:
    section = f'[[balancer]]\nname = "{scene.node}"\ninterface = "eth0"\nassign_vips = true\n\n'
    path.write_text(section + scene.config_text())
    process = scene.start_balancer(path)
    made = Alone(scene, path, process)
    assert [True] * 4 == [valid for _, valid in made.wanted.neighbours.values()]
    assert (2, True, True) == (len(made.wanted.vips), *made.wanted[2:])
    yield made
    made.process.terminate()


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


def move(ip: Any, mac: str) -> None:
    (index,) = ip.link_lookup(ifname="eth0")
    ip.link("set", index=index, address=mac)


def gratuitous(mac: str) -> None:
    raw = bytes.fromhex(mac.replace(":", ""))
    announce.announce(netlink.interface("eth0").index, raw, [ip_address("192.0.2.11")])


def managed_entries() -> int:
    index = netlink.interface("eth0").index
    return sum(found.managed for found in neighbours.neighbours(index).values())
