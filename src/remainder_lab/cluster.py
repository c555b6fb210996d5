"""The scene of a cluster that selects itself: every member hears every packet, one keeps it.

::

    clients ── router ── segment ─┬─ m1   192.0.2.11  2001:db8:2::11  eth0
                                  ├─ m2   192.0.2.12  2001:db8:2::12  eth0
                                  ├─ m3   192.0.2.13  2001:db8:2::13  eth0
                                  └─ …
    shared by all members: 203.0.113.20, 2001:db8:113::20

Claims: 28-30, 34-43.
There is no balancer.  The router finds the shared addresses on the segment: it
asks for them, learns a MAC address that reaches every member, and the bridge
copies each frame to all.  Members are servers here: they hold the shared
addresses on their loopback.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from ipaddress import ip_address
from typing import Any, Final

from remainder.flow import endpoint
from remainder_lab import numbering
from remainder_lab.balanced import (
    ECHO_PORT,
    WEB_PORT,
    Fleet,
    client_wire,
    connect_clients,
    hold_vips,
    standing,
)
from remainder_lab.host import Host
from remainder_lab.segment import Segment
from remainder_lab.wire import MTU, PassAll, attach_pass_all

SHARED: Final[Mapping[int, str]] = {4: "203.0.113.20", 6: "2001:db8:113::20"}
"""IP version → the address that all members share."""

MEMBER_SYSCTLS: Final[Sequence[tuple[str, int]]] = (
    # A member without a running program receives everything too, and must not answer.
    ("net.ipv4.conf.all.drop_unicast_in_l2_multicast", 1),
    ("net.ipv6.conf.eth0.drop_unicast_in_l2_multicast", 1),
)


class Cluster(Fleet):
    """Members that are their own servers; ``start_balancer`` runs every member."""

    @property
    def members(self) -> Mapping[str, Host]:
        """Name of a member → its host."""
        return self.nodes

    @property
    def vips(self) -> dict[int, str]:
        """IP version → shared address."""
        return {version: SHARED[version] for version in self.versions}

    def web(self, version: int = 4) -> str:
        """``ADDRESS:PORT`` of the members' servers over TCP."""
        return endpoint(ip_address(SHARED[version]), WEB_PORT)

    def echo(self, version: int = 4) -> str:
        """``ADDRESS:PORT`` of the members' servers over UDP."""
        return endpoint(ip_address(SHARED[version]), ECHO_PORT)

    def name_of(self, node: str | None) -> str | None:
        """The member that the file calls ``node``; None for None."""
        return next((name for name, host in self.nodes.items() if host.namespace == node), None)

    def config_text(  # noqa: PLR0913  (keywords with defaults)
        self,
        *,
        key: str = "src_ip + src_port + dst_ip + dst_port + protocol",
        table: str = "maglev",
        servers: Iterable[str] | None = None,
        weights: Mapping[str, int] | None = None,
        slots: int | None = None,
        secret: str | None = None,
        mode: str | None = None,
    ) -> str:
        """A file for this scene: a cluster of each IP version, with all members.

        ``servers`` names some of the members instead.
        """
        lines = [] if secret is None else [f'secret = "{secret}"', ""]
        names = list(self.nodes) if servers is None else list(servers)
        for version in self.versions:
            lines += [
                "[[cluster]]",
                f'name = "shared{"" if version == 4 else "6"}"',
                f'address = "{SHARED[version]}"',
                f'key = "{key}"',
                f'table = "{table}"',
                *([] if slots is None else [f"slots = {slots}"]),
                "members = [",
                *(self._member_line(name, (weights or {}).get(name), mode) for name in names),
                "]",
                "",
            ]
        return "\n".join(lines)

    def _member_line(self, name: str, weight: int | None, mode: str | None) -> str:
        more = "" if weight is None else f", weight = {weight}"
        more += "" if mode is None else f', mode = "{mode}"'
        return f'  {{ name = "{self.nodes[name].namespace}", interface = "eth0"{more} }},'


@contextmanager
def cluster(
    *,
    members: int = 3,
    clients: int = 200,
    ipv6: bool = True,
    mtu: int = MTU,
    pass_all: PassAll = attach_pass_all,
) -> Iterator[Cluster]:
    """Build the scene; ``clients`` is how many addresses the clients have, of each version."""
    if not 1 <= members <= numbering.MOST_SERVERS or not 1 <= clients <= numbering.MOST_CLIENTS:
        raise ValueError(
            f"{members} members and {clients} clients; "
            f"expected 1–{numbering.MOST_SERVERS} and 1–{numbering.MOST_CLIENTS}"
        )
    versions = (4, 6) if ipv6 else (4,)
    names = [f"m{number}" for number in range(1, members + 1)]
    with ExitStack() as stack:
        hosts = {name: stack.enter_context(Host(name)) for name in ("clients", "router", *names)}
        segment = stack.enter_context(Segment(mtu=mtu, pass_all=pass_all))
        wires = {"clients": stack.enter_context(client_wire(hosts, versions, mtu=mtu))}
        for name in ("router", *names):
            addresses = [numbering.on_segment(name, version) for version in versions]
            wires[name] = stack.enter_context(
                segment.wired(hosts[name], addresses=addresses, xdp=name in names)
            )
        those = {name: hosts[name] for name in names}
        scene = Cluster(
            clients=hosts["clients"],
            router=hosts["router"],
            nodes=those,
            servers=those,
            segment=segment,
            wires=wires,
            versions=versions,
            client_addresses={
                version: numbering.client_addresses(version, clients) for version in versions
            },
        )
        _set_up(scene)
        segment.introduce()
        with standing(scene, hosts):
            yield scene


def _set_up(scene: Cluster) -> None:
    hold_vips(scene)
    for member in scene.members.values():
        member.sysctls(MEMBER_SYSCTLS)
    connect_clients(scene)
    for version, vip in scene.vips.items():
        scene.router.add_route(f"{vip}/{numbering.HOST_BITS[version]}", interface="eth0")


def neighbours_of(host: Host, interface: str = "eth0") -> dict[str, str]:
    """Address → MAC address, as a host has learnt them."""

    def ask(ip: Any) -> dict[str, str]:
        index = ip.link_lookup(ifname=interface)[0]
        return {
            message.get("dst"): message.get("lladdr")
            for message in ip.get_neighbours(ifindex=index)
            if message.get("lladdr")
        }

    return host.netlink(ask)
