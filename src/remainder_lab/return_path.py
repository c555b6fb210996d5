"""The scene of servers that answer through the router that handled the way in.

::

    clients ── edge ─┬─ r1 ─┬─ segment ─┬─ s1   192.0.2.11  2001:db8:2::11  eth0
                     └─ r2 ─┘           ├─ s2   192.0.2.12  2001:db8:2::12  eth0
                                        └─ s3   192.0.2.13  2001:db8:2::13  eth0

Claims: 44-48.
There is no balancer: each router has a route for the VIPs over all servers.
The servers' own route to the clients leads through r1, for every session.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from remainder_lab.balanced import Size
from remainder_lab.tiered import Tiered
from remainder_lab.tiered_network import route_to_vips, tiered
from remainder_lab.wire import MTU, PassAll, attach_pass_all


class ReturnPath(Tiered):
    """Two routers that select themselves, and servers that choose between them."""


@contextmanager
def return_path(
    *,
    servers: int = 3,
    clients: int = 200,
    ipv6: bool = True,
    mtu: int = MTU,
    pass_all: PassAll = attach_pass_all,
) -> Iterator[ReturnPath]:
    """Build the scene; ``clients`` is how many addresses the clients have, of each version."""
    size = Size(servers=servers, clients=clients, ipv6=ipv6, mtu=mtu)
    with tiered(ReturnPath, balancers=(), size=size, pass_all=pass_all) as scene:
        route_to_vips(scene, scene.servers)
        yield scene
