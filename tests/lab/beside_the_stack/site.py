"""A node beside its router, which is member and sender, and what stands on its interface."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

from pyroute2 import IPRoute

from remainder.kernel import clsact, pins
from remainder.kernel.counters import outcomes
from remainder.observe import state
from remainder.plan import Role
from remainder_lab import End, Host, Running, Wire
from tests.lab.before_tcx import command
from tests.lab.straight import no_program

WAYS = ["tcx", "clsact"]
ROLES: tuple[Role, ...] = ("member", "sender")


@dataclass
class Site:
    """A node beside its router, and a file in which it is member and sender."""

    node: Host
    router: Host
    file: Path

    @property
    def name(self) -> str:
        return self.node.namespace

    def write(self, *, hashed: bool = False, sender: str | None = None) -> Path:
        """The file; with another sender a file of its own."""
        file = self.file if sender is None else self.file.with_name(f"{sender}.toml")
        key = "hash(src_ip, src_port)" if hashed else "src_ip + src_port"
        choice = f'key = "{key}"\ntable = "modulo"\n'
        file.write_text(
            'secret = "8f1d0c5ab3e27946d1f0a86e35bc9247"\n'
            f'[[cluster]]\nname = "tier"\naddress = "any"\n{choice}'
            f'members = [{{ name = "{self.name}", interface = "eth0", mode = "generic" }}]\n\n'
            f'[[return_path]]\nname = "back"\n{choice}others = true\n'
            f'routers = [{{ name = "r1", address = "192.0.2.1" }}]\n'
            f'senders = [{{ name = "{sender or self.name}", interface = "eth0" }}]\n'
        )
        return file

    def start(self, way: str, *, ready: bool = True) -> Running:
        process = self.node.popen(
            command(way, "run", str(self.file), "--node", self.name), title=f"run {self.name}"
        )
        if ready:
            process.wait_for("ready", timeout_s=30)
        return process

    def programs(self) -> dict[str, int | None]:
        """What runs at each place, by the kernel and the pins alone."""
        found: dict[str, int | None] = {}
        for role, place in zip(ROLES, ("ingress", "egress"), strict=True):
            attached = pins.find(self.name, role)
            if attached is not None and attached.ifindex:
                hook = attached.companion if place == "ingress" else attached.link
                assert hook is not None
                found[place] = hook.target()[0]
                attached.close()
        return found

    def filters(self) -> dict[str, int | None]:
        """The programs of our filters, as the interface has them."""
        index = self.node.interface("eth0").index
        return {
            place: self.node.call(clsact.program_at, index, place)
            for place in ("ingress", "egress")
        }

    def qdiscs(self) -> list[str]:
        """Kinds that stand on the interface."""
        return self.node.netlink(_qdiscs)

    def traces(self) -> list[str]:
        """Pins and notes."""
        return [
            *map(str, pins.BPFFS.glob(f"remainder/{self.name}*")),
            *map(str, state.RUN.glob(f"{self.name}[@.]*")),
        ]

    def answers(self) -> bool:
        """Whether a packet gets in and one gets out: nobody listens, so the stack says no."""
        return self.router.call(_is_refused, ("192.0.2.11", 9))

    def seen_by_sender(self) -> int:
        return _packets(self.name)


def _is_refused(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=5).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


def _packets(name: str) -> int:
    attached = pins.find(name, "sender")
    assert attached is not None
    seen = sum(count.packets for count in outcomes(attached.dataplane.maps).values())
    attached.close()
    return seen


def _qdiscs(ip: IPRoute) -> list[str]:
    index = ip.link_lookup(ifname="eth0")[0]
    return sorted(
        found.get("kind")
        for found in ip.get_qdiscs(index=index)
        if found["index"] == index and found.get("kind") != "noqueue"
    )


def wired(node: Host, router: Host) -> Wire:
    addresses = {
        host: [f"192.0.2.{last}/24", f"2001:db8:2::{last}/64"]
        for host, last in ((node, 11), (router, 1))
    }
    ends = [End(host=host, interface="eth0", addresses=addresses[host]) for host in addresses]
    return Wire(*ends, pass_all=no_program)
