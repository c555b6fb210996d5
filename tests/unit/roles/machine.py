"""A machine in memory, files for it, and the processes that come and go on it."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface
from pathlib import Path
from typing import Any, Final

from remainder.kernel.fake import FakeHost, FakeKernel, FakeLink
from remainder.kernel.fake_planes import FakePlanes
from remainder.roles.node import RunningNode
from remainder.roles.running import Wanted
from tests.warnings import Warned

WEB: Final = """
[[service]]
name = "web"
vip = "203.0.113.10"
port = 80
protocol = "tcp"
key = "src_ip + dst_ip + dst_port"
table = "modulo"
servers = [{servers}]
"""
SERVER: Final = '{{ name = "s{number}", address = "192.0.2.{number}" }}'
BALANCER: Final = """
[[balancer]]
name = "n"
interface = "{interface}"
"""
RETURN: Final = """
[[return_path]]
name = "back-{number}"
key = "src_ip"
table = "modulo"
services = ["web"]
routers = [{{ name = "r1", address = "{router}" }}]
senders = [{{ name = "n", interface = "{interface}" }}]
"""
MACS: Final = {
    ip_address(f"192.0.2.{number}"): b"\2\0\0\0\1" + bytes([number]) for number in range(20)
}


def web(*numbers: int) -> str:
    return WEB.format(servers=", ".join(SERVER.format(number=number) for number in numbers))


def balancer(interface: str = "eth0") -> str:
    return BALANCER.format(interface=interface)


def back(router: str = "198.51.100.1", interface: str = "eth1", number: int = 1) -> str:
    return RETURN.format(router=router, interface=interface, number=number)


class Machine:
    """A kernel in memory, and the processes that come and go on it."""

    def __init__(self, folder: Path) -> None:
        self.kernel = FakeKernel()
        self.eth0 = self.link("eth0", "192.0.2.2/24")
        self.eth1 = self.link("eth1", "198.51.100.2/24")
        self.file = folder / "r.toml"
        self.said: list[str] = []
        self.warned = Warned()
        self.host = FakeHost(self.kernel)

    def link(self, name: str, address: str) -> FakeLink:
        made = self.kernel.link(name, ip_interface(address))
        made.answers = {**MACS, ip_address("198.51.100.1"): b"\2\0\0\0\2\1"}
        return made

    def write(self, *sections: str) -> None:
        self.file.write_text("".join(sections))

    def start(self, **asked: str) -> RunningNode:
        wanted = Wanted(file=self.file, node="n", say=self.said.append, warn=self.warned, **asked)
        return RunningNode.start(wanted, host=self.host, planes=FakePlanes(self.kernel))

    def met(self, role: Any = "balancer") -> tuple[int, int, str, int]:
        """(publications, programs, tables, interface) that a packet meets."""
        met = self.kernel.planes["n", role]
        return met.publications, met.programs, met.plan.fingerprint, met.ifindex

    def seen(self) -> object:
        """All that a packet or an operator could see of the machine."""
        links = {
            name: (
                sorted(map(str, link.managed)),
                sorted(map(str, link.addresses)),
                set(link.heard),
                link.offloads,
            )
            for name, link in self.kernel.links.items()
        }  # fmt: skip
        planes = {place: self.met(place[1]) for place in self.kernel.planes}
        return links, planes
