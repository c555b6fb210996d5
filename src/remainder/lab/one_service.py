"""The scene of a balancer with servers behind it, and direct server return.

::

    clients ── router ── segment ─┬─ balancer   192.0.2.2   2001:db8:2::2   eth0
                                  ├─ s1         192.0.2.11  2001:db8:2::11
                                  ├─ s2         192.0.2.12  2001:db8:2::12
                                  └─ …

Requests go clients → router → balancer → server, answers server → router →
clients.  Every server holds the VIPs on its loopback and does not answer ARP
for them, so only the router's route says that the balancer takes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from remainder.flow import endpoint
from remainder.lab import numbering
from remainder.lab.host import Host, end_processes, python_module, uninterrupted
from remainder.lab.leftovers import forget_node
from remainder.lab.running import Running
from remainder.lab.segment import Segment
from remainder.lab.wire import MTU, End, PassAll, Wire, attach_pass_all
from remainder.lab.witness import Witness

WEB_PORT: Final = 80
ECHO_PORT: Final = 7


@dataclass(frozen=True, kw_only=True)
class OneService:
    """What the scene has; the balancer is a host on which nothing runs yet."""

    clients: Host
    router: Host
    balancer: Host
    servers: Mapping[str, Host]
    segment: Segment
    wires: Mapping[str, Wire]
    """Host name → the wire that connects it to the segment; ``clients`` → that to the router."""

    versions: Sequence[int]
    """(4,) or (4, 6)."""

    client_addresses: Mapping[int, Sequence[str]]
    """IP version → own addresses of ``clients``."""

    balancers: list[Running] = field(default_factory=list)
    """Every ``remainder run`` that was started, the latest last."""

    @property
    def node(self) -> str:
        """What the balancer calls itself: a name that no other node of this machine has.

        A data plane outlives its process and is found by this name; with a plain
        name the lab would take over, and take away, what really runs here.
        """
        return self.balancer.namespace

    @property
    def vips(self) -> dict[int, str]:
        """IP version → VIP."""
        return {version: numbering.VIPS[version] for version in self.versions}

    def web(self, version: int = 4) -> str:
        """``ADDRESS:PORT`` of the service over TCP."""
        return endpoint(ip_address(numbering.VIPS[version]), WEB_PORT)

    def echo(self, version: int = 4) -> str:
        """``ADDRESS:PORT`` of the service over UDP."""
        return endpoint(ip_address(numbering.VIPS[version]), ECHO_PORT)

    def config_text(  # noqa: PLR0913  (keywords with defaults)
        self,
        *,
        key: str = "src_ip + dst_ip + dst_port",
        table: str = "modulo",
        servers: Iterable[str] | None = None,
        weights: Mapping[str, int] | None = None,
        slots: int | None = None,
        secret: str | None = None,
        mode: str | None = None,
    ) -> str:
        """A file for this scene: services web and echo, of each IP version.

        ``servers`` names some of them instead of all; ``mode`` adds a section
        for the balancer with that XDP mode.
        """
        lines = [] if secret is None else [f'secret = "{secret}"', ""]
        if mode is not None:
            lines += ["[[balancer]]", f'name = "{self.node}"', 'interface = "eth0"']
            lines += [f'mode = "{mode}"', ""]
        names = list(self.servers) if servers is None else list(servers)
        for version in self.versions:
            for name, port, protocol in (("web", WEB_PORT, "tcp"), ("echo", ECHO_PORT, "udp")):
                lines += [
                    "[[service]]",
                    f'name = "{name}{"" if version == 4 else "6"}"',
                    f'vip = "{numbering.VIPS[version]}"',
                    f"port = {port}",
                    f'protocol = "{protocol}"',
                    f'key = "{key}"',
                    f'table = "{table}"',
                    *([] if slots is None else [f"slots = {slots}"]),
                    "servers = [",
                    *(self._server_line(server, version, weights or {}) for server in names),
                    "]",
                    "",
                ]
        return "\n".join(lines)

    def start_servers(self, names: Iterable[str] | None = None) -> dict[str, Running]:
        """Start real servers and wait until they are ready; name → process.

        They serve on the VIPs, and on their own addresses for whoever asks directly.
        """
        names = list(self.servers) if names is None else list(names)
        started = {name: self._start_server(name) for name in names}
        for process in started.values():
            process.wait_for("ready")
        return started

    def start_balancer(
        self, config_path: Path | str, *extra_args: str, ready_s: float = 20.0
    ) -> Running:
        """Run ``remainder run`` on the balancer, and wait until it says that it is ready."""
        arguments = ("run", str(config_path), "--interface", "eth0", "--node", self.node)
        process = self.balancer.popen(
            python_module("remainder", *arguments, *extra_args), title="the balancer"
        )
        self.balancers.append(process)
        process.wait_for("ready", timeout_s=ready_s)
        return process

    @contextmanager
    def witnesses(self, names: Iterable[str] | None = None) -> Iterator[dict[str, Witness]]:
        """A witness at every server for as long as the block runs; name → witness.

        What the balancer itself asks the servers is not told of.
        """
        names = list(self.servers) if names is None else list(names)
        ignored = list(numbering.BALANCER.values())
        with ExitStack() as stack:
            yield {
                name: stack.enter_context(Witness(self.servers[name], ignored=ignored))
                for name in names
            }

    def _start_server(self, name: str) -> Running:
        addresses = [
            address
            for version, vip in self.vips.items()
            for address in (vip, numbering.server_address(name, version))
        ]
        return self.servers[name].popen(
            python_module(
                "remainder.lab.servers",
                f"--name={name}",
                f"--port={WEB_PORT}",
                f"--udp-port={ECHO_PORT}",
                *(f"--bind={address}" for address in addresses),
            ),
            title=f"server {name}",
        )

    def _server_line(self, name: str, version: int, weights: Mapping[str, int]) -> str:
        address = numbering.server_address(name, version)
        weight = f", weight = {weights[name]}" if name in weights else ""
        return f'  {{ name = "{name}", address = "{address}"{weight} }},'


@contextmanager
def one_service(
    *,
    servers: int = 4,
    clients: int = 200,
    ipv6: bool = True,
    mtu: int = MTU,
    pass_all: PassAll = attach_pass_all,
) -> Iterator[OneService]:
    """Build the scene; ``clients`` is how many addresses the clients have, of each version."""
    if not (1 <= servers <= numbering.MOST_SERVERS and 1 <= clients <= numbering.MOST_CLIENTS):
        raise ValueError(
            f"{servers} servers and {clients} clients came, 1 to {numbering.MOST_SERVERS} "
            f"and 1 to {numbering.MOST_CLIENTS} fit"
        )
    versions = (4, 6) if ipv6 else (4,)
    names = numbering.server_names(servers)
    with ExitStack() as stack:
        hosts = {
            name: stack.enter_context(Host(name))
            for name in ("clients", "router", "balancer", *names)
        }
        segment = stack.enter_context(Segment(mtu=mtu, pass_all=pass_all))
        wires = {"clients": stack.enter_context(_client_wire(hosts, versions, mtu))}
        for name in ("router", "balancer", *names):
            addresses = [numbering.on_segment(name, version) for version in versions]
            wires[name] = stack.enter_context(
                segment.wired(hosts[name], addresses=addresses, xdp=name == "balancer")
            )
        scene = OneService(
            clients=hosts["clients"],
            router=hosts["router"],
            balancer=hosts["balancer"],
            servers={name: hosts[name] for name in names},
            segment=segment,
            wires=wires,
            versions=versions,
            client_addresses={
                version: numbering.client_addresses(version, clients) for version in versions
            },
        )
        _set_up(scene)
        segment.introduce()
        try:
            yield scene
        finally:
            with uninterrupted():
                end_processes(hosts.values())
                if scene.balancers:
                    scene.balancer.call(forget_node, scene.node)


def _set_up(scene: OneService) -> None:
    scene.router.sysctls([("net.ipv4.ip_forward", 1), ("net.ipv6.conf.all.forwarding", 1)])
    vips = [f"{vip}/{numbering.HOST_BITS[version]}" for version, vip in scene.vips.items()]
    for server in scene.servers.values():
        # The VIP is theirs, but only the balancer may be found by it.
        server.sysctls([("net.ipv4.conf.all.arp_ignore", 1), ("net.ipv4.conf.all.arp_announce", 2)])
        server.add_addresses("lo", vips)
    scene.clients.add_addresses(
        "eth0",
        [
            f"{address}/{numbering.HOST_BITS[version]}"
            for version in scene.versions
            for address in scene.client_addresses[version][1:]
        ],
    )
    for version in scene.versions:
        everywhere = numbering.EVERYWHERE[version]
        scene.clients.add_route(everywhere, via=numbering.CLIENT_ROUTER[version])
        for host in (scene.balancer, *scene.servers.values()):
            host.add_route(everywhere, via=numbering.ROUTER[version])
        # By way of their first address: the router asks for one MAC, not for hundreds.
        scene.router.add_route(
            numbering.CLIENT_NETWORK[version], via=numbering.CLIENT_FIRST[version]
        )
        scene.router.add_route(
            f"{scene.vips[version]}/{numbering.HOST_BITS[version]}",
            via=numbering.BALANCER[version],
        )


def _client_wire(hosts: Mapping[str, Host], versions: Sequence[int], mtu: int) -> Wire:
    ends = {"clients": numbering.CLIENT_FIRST, "router": numbering.CLIENT_ROUTER}
    clients, router = (
        End(
            host=hosts[name],
            interface="eth0" if name == "clients" else "clients",
            addresses=[numbering.on_client_wire(address, version) for version in versions],
        )
        for name, address in ends.items()
    )
    return Wire(clients, router, mtu=mtu)
