"""Builds the scenes with self-selecting routers: an edge, routers, a segment (see tiered.py).

::

    clients   203.0.113.253  ─ edge ─┬─ r1   203.0.113.241 │ 192.0.2.241 ─┬─ segment
    gateway   203.0.113.254          └─ r2   203.0.113.242 │ 192.0.2.242 ─┘

Claims: 42-48.
The gateway is no machine: the clients are told that its MAC address is the
cluster's, as one writes it into a switch or router that will not learn it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final, TypeVar

from remainder.config import CLUSTER_MAC
from remainder_lab import numbering
from remainder_lab.balanced import Size, hold_vips, standing
from remainder_lab.host import Host
from remainder_lab.segment import Segment
from remainder_lab.tiered import INSIDE, OUTSIDE, ROUTERS, Tiered, router_address
from remainder_lab.wire import PassAll, Wire, attach_pass_all

T = TypeVar("T", bound=Tiered)

_EDGE: Final[Mapping[int, str]] = {4: "203.0.113.{}", 6: "2001:db8:e::{}"}
_EDGE_BITS: Final[Mapping[int, int]] = {4: 28, 6: 64}
_ON_EDGE: Final[Mapping[str, int]] = {"r1": 241, "r2": 242, "clients": 253, "gateway": 254}
_NUD_PERMANENT: Final = 0x80


@contextmanager
def tiered(
    kind: Callable[..., T],
    *,
    balancers: Sequence[str],
    size: Size,
    pass_all: PassAll = attach_pass_all,
) -> Iterator[T]:
    """Build all that such scenes have in common, but for the routers' way to the VIPs."""
    names = numbering.server_names(size.servers)
    with ExitStack() as stack:
        hosts = {
            name: stack.enter_context(Host(name))
            for name in ("clients", *ROUTERS, *balancers, *names)
        }
        edge = stack.enter_context(Segment("edge", mtu=size.mtu, pass_all=pass_all))
        segment = stack.enter_context(Segment(mtu=size.mtu, pass_all=pass_all))
        wires: dict[str, Wire] = {}
        for name in ("clients", *ROUTERS):
            addresses = [f"{_on_edge(name, item)}/{_EDGE_BITS[item]}" for item in size.versions]
            wires[name] = stack.enter_context(
                edge.wired(hosts[name], OUTSIDE, addresses=addresses, xdp=name in ROUTERS)
            )
        for name in (*ROUTERS, *balancers, *names):
            wire = segment.wired(
                hosts[name],
                INSIDE if name in ROUTERS else "eth0",
                addresses=[_on_segment(name, version) for version in size.versions],
                xdp=name in balancers,
            )
            wires[f"{name} inside" if name in ROUTERS else name] = stack.enter_context(wire)
        scene = kind(
            clients=hosts["clients"],
            router=hosts[ROUTERS[0]],
            routers={name: hosts[name] for name in ROUTERS},
            middle={name: hosts[name] for name in balancers},
            nodes={name: hosts[name] for name in (*ROUTERS, *balancers, *names)},
            servers={name: hosts[name] for name in names},
            segment=segment,
            edge=edge,
            wires=wires,
            versions=size.versions,
            client_addresses={
                version: numbering.client_addresses(version, size.clients)
                for version in size.versions
            },
        )
        _set_up(scene)
        segment.introduce()
        edge.introduce()
        with standing(scene, hosts):
            yield scene


def route_to_vips(scene: Tiered, names: Iterable[str]) -> None:
    """Let the routers divide sessions to the VIPs between some hosts of the segment (ECMP)."""
    names = list(names)
    routes = {
        f"{vip}/{numbering.HOST_BITS[version]}": [
            {"gateway": _on_segment(name, version).partition("/")[0]} for name in names
        ]
        for version, vip in scene.vips.items()
    }
    for router in scene.routers.values():
        router.netlink(_add_routes, routes)


def _set_up(scene: Tiered) -> None:
    hold_vips(scene)
    for router in scene.routers.values():
        router.sysctls(
            [
                ("net.ipv4.ip_forward", 1),
                ("net.ipv4.fib_multipath_hash_policy", 1),
                ("net.ipv6.conf.all.forwarding", 1),
                ("net.ipv6.fib_multipath_hash_policy", 1),
            ]
        )
    for version in scene.versions:
        everywhere, bits = numbering.EVERYWHERE[version], numbering.HOST_BITS[version]
        mine = [f"{address}/{bits}" for address in scene.client_addresses[version]]
        scene.clients.add_addresses(OUTSIDE, mine)
        scene.clients.netlink(
            _use_gateway, everywhere, _on_edge("gateway", version), numbering.CLIENT_FIRST[version]
        )
        for name, host in scene.nodes.items():
            if name in scene.routers:
                host.add_route(numbering.CLIENT_NETWORK[version], via=_on_edge("clients", version))
            else:
                # What the kernel does by itself: everything through the first router.
                host.add_route(everywhere, via=router_address(ROUTERS[0], version))


def _on_edge(name: str, version: int) -> str:
    return _EDGE[version].format(_ON_EDGE[name])


def _on_segment(name: str, version: int) -> str:
    if name in ROUTERS:
        return f"{router_address(name, version)}/{numbering.SEGMENT_BITS[version]}"
    return numbering.on_segment(name, version)


def _use_gateway(ip: Any, destination: str, gateway: str, source: str) -> None:
    index = ip.link_lookup(ifname=OUTSIDE)[0]
    ip.neigh("replace", dst=gateway, lladdr=CLUSTER_MAC, ifindex=index, state=_NUD_PERMANENT)
    ip.route("replace", dst=destination, gateway=gateway, prefsrc=source)


def _add_routes(ip: Any, routes: Mapping[str, list[dict[str, str]]]) -> None:
    for destination, hops in routes.items():
        if len(hops) == 1:
            ip.route("replace", dst=destination, gateway=hops[0]["gateway"])
        else:
            ip.route("replace", dst=destination, multipath=hops)
