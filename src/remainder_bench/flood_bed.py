"""What is flooded: hosts around a switch, and the data planes that stand between them.

::

    clients ─┐            ┌─ s1   the dam counts the flood there, and drops it
    flood ───┤   switch   ├─ s2
             └─ balancer ─┘

Flood and clients come in through the balancer's one queue.  All data planes
have the same hosts; with rewritten addresses the answers go back through the
balancer, as they must, ours go straight to the clients.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from remainder.kernel import libbpf, pins
from remainder_bench.control import resident_mib
from remainder_bench.flood_programs import Dam
from remainder_bench.flood_report import Memory
from remainder_bench.napi import go_first
from remainder_lab import Host, Running, tools
from remainder_lab.host import python_module
from remainder_lab.leftovers import forget_node
from remainder_lab.nft import load_rules
from remainder_lab.switch import Switch

VIP: Final = "203.0.113.10"
PORT: Final = 80
CLIENTS: Final = [f"198.51.100.{number}" for number in range(2, 52)]
ADDRESSES: Final = {
    "clients": "192.0.2.1",
    "balancer": "192.0.2.2",
    "s1": "192.0.2.11",
    "s2": "192.0.2.12",
}
SETTLE_S: Final = 0.3
"""A balancer that has just started looks once at its servers."""

_SERVERS: Final = ("s1", "s2")
_CLIENTS_NETWORK: Final = "198.51.100.0/24"
_EVERYWHERE: Final = "0.0.0.0/0"
_SLAB: Final = Path("/sys/kernel/slab/nf_conntrack/slab_size")

FILE: Final = f"""\
[[service]]
name     = "web"
vip      = "{VIP}"
port     = {PORT}
protocol = "tcp"
key      = "src_ip + src_port + dst_ip + dst_port + protocol"
table    = "modulo"
servers  = [
  {{ name = "s1", address = "{ADDRESSES["s1"]}" }},
  {{ name = "s2", address = "{ADDRESSES["s2"]}" }},
]
"""

_TO_SERVERS: Final = f"{{ 0 : {ADDRESSES['s1']}, 1 : {ADDRESSES['s2']} }}"
_CHOICE: Final = f"jhash ip saddr . tcp sport mod 2 map {_TO_SERVERS}"
STATELESS: Final = f"""\
table ip b {{
  chain i {{
    type filter hook prerouting priority raw
    ip daddr {VIP} tcp dport {PORT} notrack ip daddr set {_CHOICE}
    ip saddr {{ {ADDRESSES["s1"]}, {ADDRESSES["s2"]} }} tcp sport {PORT} notrack ip saddr set {VIP}
  }}
}}
"""
CONNTRACK: Final = f"""\
table ip b {{
  chain i {{
    type nat hook prerouting priority dstnat
    ip daddr {VIP} tcp dport {PORT} dnat to {_CHOICE}
  }}
}}
"""


def queue_of(process_id: int) -> str:
    """The balancer's interface in the bed of a process: no other lab has one of this name.

    The kernel names a thread after its interface, whatever namespace that is in,
    and an older one leaves it ten characters.
    """
    return f"b{process_id}"


@dataclass(frozen=True)
class Bed:
    """The hosts; a data plane is not there yet."""

    switch: Switch
    hosts: dict[str, Host]
    dam: Dam
    queue: str
    """the balancer's interface"""

    @property
    def balancer(self) -> Host:
        """Where the data plane is set up."""
        return self.hosts["balancer"]


Look = Callable[[], Memory]
"""Tells what a data plane holds now."""

Plane = Callable[[Bed, ExitStack], Look]
"""Sets a data plane up at the balancer; the stack takes it down."""


def need_tools(names: Iterable[str]) -> None:
    """Raise HostError, before anything is built, if what a data plane needs is not there."""
    if any(name.startswith("nftables") for name in names):
        tools.find("nft")


@contextmanager
def bed(cpu: int) -> Iterator[Bed]:
    """Clients, balancer, and servers that serve on this CPU."""
    with ExitStack() as stack:
        switch = stack.enter_context(Switch())
        hosts = {name: stack.enter_context(Host(name)) for name in ADDRESSES}
        queue = queue_of(os.getpid())
        for name, host in hosts.items():
            interface = queue if name == "balancer" else "eth0"
            stack.enter_context(switch.wired(host, interface, addresses=[f"{ADDRESSES[name]}/24"]))
        switch.introduce()
        hosts["clients"].add_addresses("lo", [f"{address}/32" for address in CLIENTS])
        hosts["clients"].add_route(f"{VIP}/32", via=ADDRESSES["balancer"])
        dam = Dam()
        stack.callback(dam.close)
        for name in _SERVERS:
            host = hosts[name]
            index = host.interface("eth0").index
            stack.callback(os.close, host.call(libbpf.attach, dam.program_fd, index, "native"))
            # Little to do, and what else runs shall not be measured.
            go_first(_serve(host).pid, cpu=cpu)
        yield Bed(switch, hosts, dam, queue)


def _serve(host: Host) -> Running:
    host.sysctls([("net.ipv4.conf.all.arp_ignore", 1), ("net.ipv4.conf.all.arp_announce", 2)])
    host.add_addresses("lo", [f"{VIP}/32"])
    process = host.popen(
        python_module(
            "remainder_lab.servers", f"--name={host.name}", f"--port={PORT}", "--bind=0.0.0.0"
        )
    )
    process.wait_for("ready")
    return process


def _ours(built: Bed, stack: ExitStack) -> Look:
    for name in _SERVERS:
        built.hosts[name].add_route(_EVERYWHERE, via=ADDRESSES["clients"])
    balancer = built.balancer
    path = Path(stack.enter_context(TemporaryDirectory()), "flood.toml")
    path.write_text(FILE, encoding="utf-8")
    stack.callback(balancer.call, forget_node, balancer.namespace)
    process = balancer.popen(
        python_module(
            "remainder", "run", str(path), f"--interface={built.queue}", "--mode=native",
            f"--node={balancer.namespace}",
        ),
        title="the balancer",
    )  # fmt: skip
    stack.callback(process.terminate)
    process.wait_for("ready", timeout_s=20)
    time.sleep(SETTLE_S)
    return partial(_memory, balancer, process.pid)


def _nft(rules: str) -> Plane:
    def set_up(built: Bed, stack: ExitStack) -> Look:
        del stack
        for name in _SERVERS:
            built.hosts[name].add_route(_EVERYWHERE, via=ADDRESSES["balancer"])
        balancer = built.balancer
        balancer.sysctl("net.ipv4.ip_forward", 1)
        balancer.add_route(_CLIENTS_NETWORK, via=ADDRESSES["clients"])
        load_rules(balancer, rules)
        return partial(_memory, balancer, None)

    return set_up


def _memory(balancer: Host, process_id: int | None) -> Memory:
    sessions, most = balancer.call(_conntrack)
    return Memory(
        process_kib=round(resident_mib(process_id) * 1024) if process_id else 0,
        maps_bytes=maps_bytes(balancer.namespace) if process_id else 0,
        sessions=sessions,
        most_sessions=most,
        session_bytes=_number(_SLAB),
    )


def maps_bytes(node: str) -> int:
    """What the kernel has set aside for the maps of a node that runs."""
    attached = pins.find(node)
    if attached is None:
        return 0
    try:
        return sum(_memlock(kernel_map.fd) for kernel_map in attached.dataplane.maps.values())
    finally:
        attached.close()


def _memlock(descriptor: int) -> int:
    text = Path(f"/proc/self/fdinfo/{descriptor}").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("memlock:"))


def _conntrack() -> tuple[int, int]:
    """(sessions that the kernel remembers here, how many it may)."""
    folder = Path("/proc/sys/net/netfilter")
    return _number(folder / "nf_conntrack_count"), _number(folder / "nf_conntrack_max")


def _number(path: Path) -> int:
    """What a file of the kernel says; 0 where there is none."""
    with suppress(OSError):
        return int(path.read_text(encoding="ascii"))
    return 0


PLANES: Final[dict[str, Plane]] = {
    "remainder": _ours,
    "nftables, stateless": _nft(STATELESS),
    "nftables, DNAT with conntrack": _nft(CONNTRACK),
}
"""Data plane → how it is set up."""
