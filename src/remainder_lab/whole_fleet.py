"""The scene of a whole fleet: three tiers, each of which does the calculation.

::

    clients ── edge ─┬─ r1 ─┬─ segment ─┬─ lb1  192.0.2.2   2001:db8:2::2   eth0
                     └─ r2 ─┘           ├─ lb2  192.0.2.3   2001:db8:2::3   eth0
                                        ├─ s1   192.0.2.11  2001:db8:2::11  eth0
                                        └─ …    s2, s3, s4

Claims: 42, 43, 47, 48.
The routers select themselves, and send to either balancer (ECMP): both give
the same answer.  The balancer's answer is a server, which sends what it says
through the router that the request came in by.  One file, the same on every node.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from remainder_lab.balanced import Size
from remainder_lab.tiered import Tiered
from remainder_lab.tiered_network import route_to_vips, tiered
from remainder_lab.wire import MTU, PassAll, attach_pass_all

BALANCERS: Final = ("lb1", "lb2")


class WholeFleet(Tiered):
    """Two routers that select themselves, two balancers, and servers that choose the way back."""


@contextmanager
def whole_fleet(
    *,
    servers: int = 4,
    clients: int = 200,
    ipv6: bool = True,
    mtu: int = MTU,
    pass_all: PassAll = attach_pass_all,
) -> Iterator[WholeFleet]:
    """Build the scene; ``clients`` is how many addresses the clients have, of each version."""
    size = Size(servers=servers, clients=clients, ipv6=ipv6, mtu=mtu)
    with tiered(WholeFleet, balancers=BALANCERS, size=size, pass_all=pass_all) as scene:
        route_to_vips(scene, scene.middle)
        yield scene
