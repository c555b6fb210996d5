"""Routers that select themselves: packets through the cluster, to a server behind it (28, 34)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from remainder.observe.report import report
from remainder_lab import SCENES, Host, Segment, Witness, http_sessions, sessions_at, udp_exchanges
from remainder_lab.acts_cluster import plan_of
from remainder_lab.cluster import SHARED, Cluster
from remainder_lab.host import python_module

pytestmark = [pytest.mark.root, pytest.mark.bpf]

INSIDE: Final = {4: "203.0.113.128/25", 6: "2001:db8:128::/64"}
SERVER: Final = {4: "203.0.113.200", 6: "2001:db8:128::200"}
RTNH_F_ONLINK: Final = 4
SUM5: Final = "src_ip + src_port + dst_ip + dst_port + protocol"


@pytest.fixture
def scene() -> Iterator[Cluster]:
    """Clients, router and three members, which are routers here: each has a leg inside."""
    with SCENES["cluster"]() as built, Segment("inside") as inside, Host("server") as server:
        assert isinstance(built, Cluster)
        with ExitStack() as stack:
            for number, host in enumerate(built.members.values(), 1):
                legs = [f"203.0.113.{128 + number}/25", f"2001:db8:128::{number}/64"]
                stack.enter_context(inside.wired(host, "eth1", addresses=legs))
                host.sysctls([("net.ipv4.ip_forward", 1), ("net.ipv6.conf.all.forwarding", 1)])
            addresses = [f"{SERVER[4]}/25", f"{SERVER[6]}/64"]
            stack.enter_context(inside.wired(server, addresses=addresses))
            # The way back is any router's: nothing on the way in remembers anything.
            server.add_route("0.0.0.0/0", via="203.0.113.129")
            server.add_route("::/0", via="2001:db8:128::1")
            # The next hop is the shared address: the router learns the cluster's MAC address.
            for version, network in INSIDE.items():
                built.router.netlink(route_through, network, SHARED[version])
            process = server.popen(
                python_module(
                    "remainder_lab.servers",
                    "--name=behind",
                    "--udp-port=7",
                    *(f"--bind={address}" for address in SERVER.values()),
                )
            )
            process.wait_for("ready")
            yield built


def route_through(ip: Any, network: str, gateway: str) -> None:
    """``ip route add NETWORK via GATEWAY dev eth0 onlink``."""
    index = ip.link_lookup(ifname="eth0")[0]
    ip.route("replace", dst=network, gateway=gateway, oif=index, flags=RTNH_F_ONLINK)


def text_of(scene: Cluster, mode: str) -> str:
    """The shared addresses, by which the members are found, and whatever goes through them."""
    text = scene.config_text(key=SUM5, mode=mode)
    through = scene.config_text(key=SUM5, mode=mode).split("[[cluster]]")[1]
    return f"{text}[[cluster]]" + through.replace(SHARED[4], "any").replace(
        'name = "shared"', 'name = "through"', 1
    )


@pytest.mark.parametrize("mode", ["native", "generic"])
def test_each_packet_through_the_cluster_is_forwarded_by_the_router_that_is_named(
    scene: Cluster, tmp_path: Path, mode: str
) -> None:
    """TCP and UDP, both families: every router hears all, one forwards, and none twice."""
    file = tmp_path / "r.toml"
    file.write_text(text_of(scene, mode))
    scene.start_nodes(file)
    plan = plan_of(file)
    with ExitStack() as stack:
        witnesses = [stack.enter_context(Witness(host)) for host in scene.members.values()]
        sessions = []
        for version, address in SERVER.items():
            sources = scene.client_addresses[version]
            web, echo = (
                (f"{address}:{port}" if version == 4 else f"[{address}]:{port}") for port in (80, 7)
            )
            sessions += http_sessions(scene.clients, web, sources=sources, sessions=100)
            sessions += udp_exchanges(scene.clients, echo, sources=sources, flows=50)
        seen = sessions_at(witnesses)
    outcomes = [report(host.namespace, "member")["outcomes"] for host in scene.members.values()]
    kept = [outcome["kept"]["packets"] for outcome in outcomes]
    heard = [outcome["kept"]["packets"] + outcome["left"]["packets"] for outcome in outcomes]
    print(f"{mode}: forwarded {kept}, each heard {heard}")

    assert len(sessions) == 300
    assert [] == [item for item in sessions if not item.ok or item.server != "behind"]
    for item in sessions:
        assert {scene.name_of(plan.where(item.flow).owner)} == seen[item.flow].keys()
    assert {sum(kept)} == set(heard)
    assert all(kept)
