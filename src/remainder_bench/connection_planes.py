"""The ways from a client to a server, for connections per second: each on a network of its own.

::

    client ───┐
    balancer ─┼─ switch
    server ───┘

Client and server are the same in all of them; what differs is what runs on the balancer,
and by which way the answers go: through it where its method cannot do without.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from remainder.config import Config, Server, Service
from remainder.kernel import libbpf
from remainder.plan import Plan, make_plan
from remainder_bench import micro
from remainder_bench.cases import KEYS
from remainder_lab import Host, Switch, tools
from remainder_lab.nft import load_rules

VIP: Final = "203.0.113.10"
PORT: Final = 80
SERVERS: Final = tuple(f"192.0.2.{number}" for number in range(11, 15))
"""All of them on one host: what is chosen must not change what it costs to serve."""

CLIENT: Final = "198.51.100.2"
_BALANCER: Final = ("198.51.100.1", "192.0.2.1")
_CLIENTS: Final = "198.51.100.0/24"


@dataclass(frozen=True)
class Bed:
    """The three hosts, each with ``eth0`` on the switch."""

    client: Host
    balancer: Host
    server: Host

    def aim(self, host: Host) -> None:
        """Let the client send what is for the VIP to this host."""
        self.client.netlink(_set_neighbour, VIP, host.mac("eth0"))

    def answer_by_balancer(self) -> None:
        """Let answers go back the way the requests came."""
        self.balancer.sysctl("net.ipv4.ip_forward", 1)
        self.server.add_route(_CLIENTS, via=_BALANCER[1])

    def received(self) -> int:
        """Packets that the balancer has received."""
        return int(self.balancer.netlink(_received))


SetUp = Callable[[Bed, ExitStack], None]
"""Sets a data plane up at the balancer; the stack takes it down."""


@dataclass(frozen=True, kw_only=True)
class Plane:
    """A way from the client to a server."""

    set_up: SetUp
    balanced: bool = True
    """whether it leads through the balancer"""
    program: str | None = None
    """what must be installed, or this one is left out"""


@contextmanager
def bed(plane: Plane) -> Iterator[Bed]:
    """Client, balancer and server on a switch; servers hold the VIP and answer directly."""
    with ExitStack() as stack:
        client, balancer, server = (
            stack.enter_context(Host(name)) for name in ("client", "balancer", "server")
        )
        switch = stack.enter_context(Switch())
        for host, addresses in (
            (client, (CLIENT,)),
            (balancer, _BALANCER),
            (server, SERVERS),
        ):
            stack.enter_context(
                switch.wired(host, addresses=[f"{address}/24" for address in addresses])
            )
        switch.introduce()
        server.add_addresses("lo", [f"{VIP}/32"])
        server.sysctls([("net.ipv4.conf.all.arp_ignore", 1), ("net.ipv4.conf.all.arp_announce", 2)])
        server.add_route(_CLIENTS, interface="eth0")
        server.netlink(_set_neighbour, CLIENT, client.mac("eth0"))
        client.add_route(f"{VIP}/32", interface="eth0")
        built = Bed(client, balancer, server)
        built.aim(balancer if plane.balanced else server)
        yield built


def _set_neighbour(ip: Any, address: str, mac: str) -> None:
    (index,) = ip.link_lookup(ifname="eth0")
    ip.neigh("replace", dst=address, lladdr=mac, ifindex=index, state="permanent")


def _received(ip: Any) -> int:
    (link,) = ip.get_links(ip.link_lookup(ifname="eth0")[0])
    return int(link.get("stats64")["rx_packets"])


def _nothing(built: Bed, stack: ExitStack) -> None:
    del built, stack


@cache
def plan() -> Plan:
    """What ours balances: one service, in the formula of the claims."""
    servers = [Server(name=f"s{at}", address=address) for at, address in enumerate(SERVERS, 1)]
    service = Service(
        name="web", vip=VIP, port=PORT, protocol="tcp",
        key=KEYS["sum3"], table="modulo", method="l2", servers=servers,
    )  # fmt: skip
    return make_plan(Config(service=[service]))


def _ours(mode: str) -> SetUp:
    def set_up(built: Bed, stack: ExitStack) -> None:
        mac = built.server.mac_bytes("eth0")
        macs = {ip_address(address): mac for address in SERVERS}
        loaded = micro.load(plan(), macs=macs)
        stack.callback(loaded.close)
        interface = built.balancer.interface("eth0")
        loaded.tables().set_own_mac(built.balancer.mac_bytes("eth0"))
        link = built.balancer.call(libbpf.attach, loaded.program_fd, interface.index, mode)
        stack.callback(os.close, link)
        stack.callback(libbpf.detach, link)

    return set_up


_TO_US: Final = f"ip daddr {VIP} tcp dport {PORT}"
_CHOICE: Final = f"jhash ip saddr . tcp sport mod {len(SERVERS)} map"


def _netdev(built: Bed, stack: ExitStack) -> None:
    del stack
    macs = _map([built.server.mac("eth0")] * len(SERVERS))
    load_rules(
        built.balancer,
        f"""table netdev balancing {{
          chain ingress {{
            type filter hook ingress device "eth0" priority 0
            {_TO_US} ether daddr set {_CHOICE} {macs} fwd to "eth0"
          }}
        }}""",
    )


def _dnat(built: Bed, stack: ExitStack) -> None:
    del stack
    built.answer_by_balancer()
    load_rules(
        built.balancer,
        f"""table ip balancing {{
          chain prerouting {{
            type nat hook prerouting priority dstnat
            {_TO_US} dnat to {_CHOICE} {_map(SERVERS)}
          }}
        }}""",
    )


def _map(values: Sequence[str]) -> str:
    """A map of nftables from a number to an address."""
    return "{ " + ", ".join(f"{number} : {value}" for number, value in enumerate(values)) + " }"


def _haproxy(built: Bed, stack: ExitStack) -> None:
    built.balancer.add_addresses("lo", [f"{VIP}/32"])
    path = Path(stack.enter_context(TemporaryDirectory(prefix="remainder-"))) / "haproxy.cfg"
    path.write_text(haproxy_cfg(), encoding="utf-8")
    process = built.balancer.popen([tools.find("haproxy"), "-db", "-f", str(path)])
    stack.callback(process.terminate)


def haproxy_cfg() -> str:
    """One thread, since there is one CPU; no checks, no log, nothing that is not balancing."""
    return "\n".join(
        [
            "global",
            "    nbthread 1",
            "    maxconn 4096",
            "defaults",
            "    mode tcp",
            *(f"    timeout {which} 10s" for which in ("connect", "client", "server")),
            "frontend web",
            f"    bind {VIP}:{PORT}",
            "    default_backend servers",
            "backend servers",
            "    balance roundrobin",
            *(
                f"    server s{number} {address}:{PORT}"
                for number, address in enumerate(SERVERS, 1)
            ),
            "",
        ]
    )


PLANES: Final[Mapping[str, Plane]] = {
    "no balancer": Plane(set_up=_nothing, balanced=False),
    "remainder, sum": Plane(set_up=_ours("native")),
    "remainder, sum, generic XDP": Plane(set_up=_ours("generic")),
    "nftables, netdev, to MAC addresses": Plane(set_up=_netdev),
    "nftables, DNAT with conntrack": Plane(set_up=_dnat),
    "HAProxy, TCP mode": Plane(set_up=_haproxy, program="haproxy"),
}
"""Name → way; the first is what all others are compared with."""
