"""The scene of a balancer with servers behind it, and direct server return.

::

    clients ── router ── segment ─┬─ balancer   192.0.2.2   2001:db8:2::2   eth0
                                  ├─ s1         192.0.2.11  2001:db8:2::11
                                  ├─ s2         192.0.2.12  2001:db8:2::12
                                  └─ …

Only the router's route says that the balancer takes the VIPs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from remainder_lab import numbering
from remainder_lab.balanced import Balanced, Size, built
from remainder_lab.wire import MTU, PassAll, attach_pass_all


class OneService(Balanced):
    """One balancer."""


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
    size = Size(servers=servers, clients=clients, ipv6=ipv6, mtu=mtu)
    with built(OneService, ["balancer"], size, pass_all=pass_all) as scene:
        for version, vip in scene.vips.items():
            scene.router.add_route(
                f"{vip}/{numbering.HOST_BITS[version]}", via=numbering.BALANCER[version]
            )
        yield scene
