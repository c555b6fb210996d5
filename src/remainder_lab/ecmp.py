"""The scene of two balancers that both work: the router divides the packets between them.

::

    clients ── router ═══ segment ─┬─ lb1       192.0.2.2   2001:db8:2::2   eth0
                                   ├─ lb2       192.0.2.3   2001:db8:2::3   eth0
                                   ├─ s1        192.0.2.11  2001:db8:2::11
                                   └─ …

Claim: 15.
There is no standby, and nothing decides which one is active: every balancer gives
the same answer, so a router may send each session (ECMP), or each packet
(spraying), to whichever it likes.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from remainder_lab import numbering
from remainder_lab.balanced import Balanced, Size, built
from remainder_lab.nft import load_rules
from remainder_lab.running import Running
from remainder_lab.wire import MTU, PassAll, attach_pass_all

BALANCERS: Final = ("lb1", "lb2")
FIRST_TABLE: Final = 101
"""The router's table for packets that are sprayed to the first balancer; the others follow."""

_TABLE: Final = "remainder_spray"


class Ecmp(Balanced):
    """Two balancers; ``start_balancer`` starts both."""

    def start_balancer(
        self, config_path: Path | str, *extra_args: str, ready_s: float = 20.0
    ) -> Running:
        """Run all balancers until they are ready; the first's process."""
        started = [self.launch_balancer(name, config_path, *extra_args) for name in self.nodes]
        for process in started:
            process.wait_for("ready", timeout_s=ready_s)
        return started[0]

    @property
    def shared(self) -> list[str]:
        """The nodes that the router sends to."""
        return list(self.nodes)

    def share_by_session(self, names: Iterable[str] | None = None) -> None:
        """The router chooses by a hash of addresses and ports; among all balancers, or some."""
        names = self.shared if names is None else list(names)
        self.router.netlink(
            _route_by_hash,
            {
                f"{vip}/{numbering.HOST_BITS[version]}": [_address(name, version) for name in names]
                for version, vip in self.vips.items()
            },
        )

    @contextmanager
    def spraying(self) -> Iterator[None]:
        """For as long as the block runs, packets go to the balancers in turn, one by one."""
        routes = [
            (table, f"{vip}/{numbering.HOST_BITS[version]}", _address(name, version))
            for table, name in enumerate(self.shared, FIRST_TABLE)
            for version, vip in self.vips.items()
        ]
        with ExitStack() as stack:
            self.router.netlink(_add_tables, routes)
            stack.callback(self.router.netlink, _remove_tables, routes)
            load_rules(
                self.router,
                f"table inet {_TABLE} {{ chain turns {{ type filter hook prerouting priority "
                f'mangle; iifname "clients" meta mark set numgen inc mod {len(self.shared)} '
                f"offset {FIRST_TABLE}; }}; }}",
            )
            stack.callback(load_rules, self.router, f"delete table inet {_TABLE}")
            yield


@contextmanager
def ecmp(
    *,
    servers: int = 4,
    clients: int = 200,
    ipv6: bool = True,
    mtu: int = MTU,
    pass_all: PassAll = attach_pass_all,
) -> Iterator[Ecmp]:
    """Build the scene; ``clients`` is how many addresses the clients have, of each version."""
    size = Size(servers=servers, clients=clients, ipv6=ipv6, mtu=mtu)
    with built(Ecmp, BALANCERS, size, pass_all=pass_all) as scene:
        # With addresses alone, which is the default, one client sticks to one balancer.
        scene.router.sysctls(
            [
                (f"net.{family}.fib_multipath_hash_policy", 1)
                for family, version in (("ipv4", 4), ("ipv6", 6))
                if version in scene.versions
            ]
        )
        scene.share_by_session()
        yield scene


def _address(name: str, version: int) -> str:
    return numbering.on_segment(name, version).partition("/")[0]


def _route_by_hash(ip: Any, routes: Mapping[str, list[str]]) -> None:
    for destination, gateways in routes.items():
        if len(gateways) == 1:
            ip.route("replace", dst=destination, gateway=gateways[0])
        else:
            ip.route("replace", dst=destination, multipath=[{"gateway": one} for one in gateways])


def _add_tables(ip: Any, routes: Iterable[tuple[int, str, str]]) -> None:
    for table, destination, gateway in routes:
        ip.route("replace", dst=destination, gateway=gateway, table=table)
        ip.rule("add", **_rule(table, destination))


def _remove_tables(ip: Any, routes: Iterable[tuple[int, str, str]]) -> None:
    for table, destination, gateway in routes:
        ip.rule("del", **_rule(table, destination))
        ip.route("del", dst=destination, gateway=gateway, table=table)


def _rule(table: int, destination: str) -> dict[str, int]:
    """Packets that bear the table's number as their mark look into the table."""
    family = socket.AF_INET6 if ":" in destination else socket.AF_INET
    return {"family": family, "fwmark": table, "table": table, "priority": table}
