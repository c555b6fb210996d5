"""What every scene with balancers has: clients, a router, servers, and traffic between them.

::

    clients ── router ── segment ─┬─ one balancer or several   eth0
                                  ├─ s1         192.0.2.11  2001:db8:2::11
                                  ├─ s2         192.0.2.12  2001:db8:2::12
                                  └─ …

Requests go clients → router → balancer → server, answers server → router →
clients.  Every server holds the VIPs on its loopback and does not answer ARP
for them.  How the router finds the balancers is for each scene to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Final, TypeVar

from remainder.flow import endpoint
from remainder_lab import numbering
from remainder_lab.host import Host, end_processes, python_module, uninterrupted
from remainder_lab.leftovers import forget_node
from remainder_lab.running import Running, end_marked
from remainder_lab.segment import Segment
from remainder_lab.wire import MTU, End, PassAll, Wire, attach_pass_all
from remainder_lab.witness import Witness

S = TypeVar("S", bound="Balanced")

WEB_PORT: Final = 80
ECHO_PORT: Final = 7


@dataclass(frozen=True, kw_only=True)
class Balanced:
    """What the scene has; its balancers are hosts on which nothing runs yet."""

    clients: Host
    router: Host
    nodes: Mapping[str, Host]
    """Name of a balancer → its host, in order of preference."""

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
    def place(self) -> tuple[str, ...]:
        """The options of ``run`` for the interface; none if the file of the scene has it."""
        return ("--interface", "eth0")

    @property
    def balancer(self) -> Host:
        """The first balancer, or the only one."""
        return next(iter(self.nodes.values()))

    @property
    def node(self) -> str:
        """What the first balancer calls itself: a name that no other node of this machine has.

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

        ``servers`` names some of them instead of all; ``mode`` is the XDP mode of the
        balancers, which have sections of their own only if it is given.
        """
        lines = [] if secret is None else [f'secret = "{secret}"', ""]
        lines += self.balancer_sections(mode)
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

    def balancer_sections(self, mode: str | None) -> list[str]:
        """Lines of the file: a [[balancer]] for each, if there is something to say."""
        if mode is None:
            return []
        return [
            line
            for host in self.nodes.values()
            for line in (
                "[[balancer]]",
                f'name = "{host.namespace}"',
                'interface = "eth0"',
                f'mode = "{mode}"',
                "",
            )
        ]

    def start_servers(self, names: Iterable[str] | None = None) -> dict[str, Running]:
        """Start real servers and wait until they are ready; name → process.

        They serve on the VIPs, and on their own addresses for direct requests.
        """
        names = list(self.servers) if names is None else list(names)
        started = {name: self._start_server(name) for name in names}
        for process in started.values():
            process.wait_for("ready")
        return started

    def start_balancer(
        self, config_path: Path | str, *extra_args: str, ready_s: float = 20.0
    ) -> Running:
        """Run ``remainder run`` on the first balancer, and wait until it says that it is ready."""
        name = next(iter(self.nodes))
        process = self.launch_balancer(name, config_path, *extra_args)
        process.wait_for("ready", timeout_s=ready_s)
        return process

    def start_nodes(
        self,
        config_path: Path | str,
        *extra_args: str,
        names: Iterable[str] | None = None,
        ready_s: float = 30.0,
    ) -> dict[str, Running]:
        """Run ``remainder run`` on all nodes, or some, until they are ready; name → process."""
        names = list(self.nodes) if names is None else list(names)
        started = {name: self.launch_balancer(name, config_path, *extra_args) for name in names}
        for process in started.values():
            process.wait_for("ready", timeout_s=ready_s)
        return started

    def launch_balancer(self, name: str, config_path: Path | str, *extra_args: str) -> Running:
        """Run ``remainder run`` on a node; it is not awaited."""
        host = self.nodes[name]
        arguments = ("run", str(config_path), *self.place, "--node", host.namespace)
        process = host.popen(
            python_module("remainder", *arguments, *extra_args), title=_title(name)
        )
        self.balancers.append(process)
        return process

    def running(self, name: str) -> Running:
        """The latest ``remainder run`` of a balancer."""
        title = _title(name)
        return next(process for process in reversed(self.balancers) if process.title == title)

    @contextmanager
    def witnesses(self, names: Iterable[str] | None = None) -> Iterator[dict[str, Witness]]:
        """A witness at every server for as long as the block runs; name → witness.

        Packets that the balancers themselves send to the servers are ignored.
        """
        names = list(self.servers) if names is None else list(names)
        ignored = [*numbering.BALANCER.values(), *numbering.SECOND_BALANCER.values()]
        segment = [f"{at}/{numbering.SEGMENT_BITS[v]}" for v, at in numbering.ROUTER.items()]
        with ExitStack() as stack:
            yield {
                name: stack.enter_context(
                    Witness(self.servers[name], ignored=ignored, pinging=segment)
                )
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
                "remainder_lab.servers",
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


@dataclass(frozen=True, kw_only=True)
class Fleet(Balanced):
    """A scene with a file that names every node, so that each has its part."""

    @property
    def place(self) -> tuple[str, ...]:
        """The file says it."""
        return ()

    def start_balancer(
        self, config_path: Path | str, *extra_args: str, ready_s: float = 30.0
    ) -> Running:
        """Run every node of the file until it is ready; the first's process."""
        return next(iter(self.start_nodes(config_path, *extra_args, ready_s=ready_s).values()))


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large a scene is."""

    servers: int = 4
    clients: int = 200
    """How many addresses the clients have, of each version."""

    ipv6: bool = True
    mtu: int = MTU

    def __post_init__(self) -> None:
        if (
            not 1 <= self.servers <= numbering.MOST_SERVERS
            or not 1 <= self.clients <= numbering.MOST_CLIENTS
        ):
            raise ValueError(
                f"{self.servers} servers and {self.clients} clients; "
                f"expected 1–{numbering.MOST_SERVERS} and 1–{numbering.MOST_CLIENTS}"
            )

    @property
    def versions(self) -> tuple[int, ...]:
        """(4,) or (4, 6)."""
        return (4, 6) if self.ipv6 else (4,)


@contextmanager
def built(
    kind: Callable[..., S],
    balancers: Sequence[str],
    size: Size,
    *,
    servers_run: bool = False,
    pass_all: PassAll = attach_pass_all,
) -> Iterator[S]:
    """Build all that scenes have in common; the router has no route to the VIPs yet.

    ``servers_run`` says that servers are nodes of the file too, and may run an XDP program.
    """
    names = numbering.server_names(size.servers)
    runs = [*balancers, *(names if servers_run else [])]
    with ExitStack() as stack:
        hosts = {
            name: stack.enter_context(Host(name))
            for name in ("clients", "router", *balancers, *names)
        }
        segment = stack.enter_context(Segment(mtu=size.mtu, pass_all=pass_all))
        wires = {"clients": stack.enter_context(client_wire(hosts, size.versions, mtu=size.mtu))}
        for name in ("router", *balancers, *names):
            addresses = [numbering.on_segment(name, version) for version in size.versions]
            wires[name] = stack.enter_context(
                segment.wired(hosts[name], addresses=addresses, xdp=name in runs)
            )
        scene = kind(
            clients=hosts["clients"],
            router=hosts["router"],
            nodes={name: hosts[name] for name in runs},
            servers={name: hosts[name] for name in names},
            segment=segment,
            wires=wires,
            versions=size.versions,
            client_addresses={
                version: numbering.client_addresses(version, size.clients)
                for version in size.versions
            },
        )
        _set_up(scene)
        segment.introduce()
        with standing(scene, hosts):
            yield scene


@contextmanager
def standing(scene: Balanced, hosts: Mapping[str, Host]) -> Iterator[None]:
    """A scene stands until the block ends; then its processes and data planes are gone."""
    try:
        yield
    finally:
        with uninterrupted():
            end_processes(hosts.values())
            if scene.balancers:
                end_marked(scene.clients.namespace)  # balancers that a shell in there started
                for host in scene.nodes.values():
                    host.call(forget_node, host.namespace)


def _title(name: str) -> str:
    return f"balancer {name}"


def _set_up(scene: Balanced) -> None:
    hold_vips(scene)
    connect_clients(scene)


def hold_vips(scene: Balanced) -> None:
    """Put the VIPs on every server, where nobody may find it by them."""
    vips = [f"{vip}/{numbering.HOST_BITS[version]}" for version, vip in scene.vips.items()]
    for server in scene.servers.values():
        server.sysctls([("net.ipv4.conf.all.arp_ignore", 1), ("net.ipv4.conf.all.arp_announce", 2)])
        server.add_addresses("lo", vips)


def connect_clients(scene: Balanced) -> None:
    """Give the clients their addresses, and everybody a way to the others, through the router."""
    scene.router.sysctls([("net.ipv4.ip_forward", 1), ("net.ipv6.conf.all.forwarding", 1)])
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
        for host in dict.fromkeys((*scene.nodes.values(), *scene.servers.values())):
            host.add_route(everywhere, via=numbering.ROUTER[version])
        # By way of their first address: the router asks for one MAC, not for hundreds.
        scene.router.add_route(
            numbering.CLIENT_NETWORK[version], via=numbering.CLIENT_FIRST[version]
        )


def client_wire(hosts: Mapping[str, Host], versions: Sequence[int], *, mtu: int) -> Wire:
    """The wire between the clients and the router."""
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
