"""What scenes with self-selecting routers share: servers that answer through the right router.

::

    clients ── edge ─┬─ r1 ─┬─ segment ─┬─ s1   192.0.2.11  2001:db8:2::11  eth0
                     └─ r2 ─┘           ├─ s2   192.0.2.12  2001:db8:2::12  eth0
                                        └─ …

Claims: 42-48.
On the edge, the clients' gateway is a MAC address that reaches every router:
all hear each packet, the one that owns it keeps it.  On the segment, a server
answers through the router that kept the request.  Every router can have a
stateful firewall, which a way back through another router does not survive.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from remainder_lab.balanced import Fleet
from remainder_lab.host import Host
from remainder_lab.nft import load_rules
from remainder_lab.segment import Segment

ROUTERS: Final = ("r1", "r2")
OUTSIDE: Final = "eth0"
"""A router's interface on the edge."""

INSIDE: Final = "eth1"
"""A router's interface on the segment."""

SECRET: Final = "c41d7e0a93b65f28e70b1c94d2f8a653"  # noqa: S105  (the lab's own)

_ROUTER: Final[Mapping[str, Mapping[int, str]]] = {
    "r1": {4: "192.0.2.241", 6: "2001:db8:2::241"},
    "r2": {4: "192.0.2.242", 6: "2001:db8:2::242"},
}

_FIREWALL: Final = """
table inet firewall {
  chain forward {
    type filter hook forward priority 0; policy drop;
    ct state invalid drop
    ct state established,related accept
    iifname { INTERFACES } ct state new accept
  }
}
"""


@dataclass(frozen=True, kw_only=True)
class Tiered(Fleet):
    """Routers on two segments; ``nodes`` are all that the file names."""

    routers: Mapping[str, Host]
    """Name → host of those that select themselves."""

    middle: Mapping[str, Host]
    """Name → host of balancers between routers and servers."""

    edge: Segment

    def name_of(self, node: str | None) -> str | None:
        """The host that the file calls ``node``; None for None."""
        return next((name for name, host in self.nodes.items() if host.namespace == node), None)

    def config_text(  # noqa: PLR0913  (keywords with defaults)
        self,
        *,
        key: str = "src_ip + src_port + dst_ip + dst_port + protocol",
        table: str = "modulo",
        servers: Iterable[str] | None = None,
        weights: Mapping[str, int] | None = None,
        slots: int | None = None,
        secret: str | None = None,
        mode: str | None = None,
        routers: Iterable[str] | None = None,
        others: bool = False,
        fragments: str = "drop",
    ) -> str:
        """One file for every node: services, the routers' cluster, the servers' way back.

        ``servers`` and ``routers`` name some of them instead of all; ``weights`` are those
        of the routers; ``others`` includes what servers begin by themselves.
        """
        secret = SECRET if secret is None and key.startswith("hash") else secret
        services = super().config_text(
            key=key, table=table, servers=servers, slots=slots, secret=secret, mode=mode
        )
        weights = weights or {}
        through = list(self.routers) if routers is None else list(routers)
        choice = [
            f'key = "{key}"',
            f'table = "{table}"',
            *([] if slots is None else [f"slots = {slots}"]),
            f'fragments = "{fragments}"',
        ]
        more = [
            "[[cluster]]",
            'name = "tier"',
            'address = "any"',
            *choice,
            "members = [",
            *(self._member_line(name, weights.get(name), mode) for name in through),
            "]",
            "",
            "[[return_path]]",
            'name = "back"',
            *choice,
            *(["others = true"] if others else []),
            "routers = [",
            *(self._router_line(name, weights.get(name)) for name in through),
            "]",
            "senders = [",
            *(
                f'  {{ name = "{host.namespace}", interface = "eth0" }},'
                for host in self.servers.values()
            ),
            "]",
            "",
        ]
        return "\n".join([services, *more])

    def balancer_sections(self, mode: str | None) -> list[str]:
        """Lines of the file: a [[balancer]] for each, in any mode."""
        return [
            line
            for host in self.middle.values()
            for line in (
                "[[balancer]]",
                f'name = "{host.namespace}"',
                'interface = "eth0"',
                *([] if mode is None else [f'mode = "{mode}"']),
                "",
            )
        ]

    def stop_nodes(self, names: Iterable[str]) -> None:
        """End the latest ``remainder run`` of some nodes, and what they put on their hosts."""
        for name in names:
            self.running(name).terminate(10.0)

    def raise_firewalls(self, *, new_from: Sequence[str] = (OUTSIDE,)) -> None:
        """A stateful firewall on each router: sessions begin on those interfaces alone."""
        interfaces = ", ".join(f'"{name}"' for name in new_from)
        text = _FIREWALL.replace("INTERFACES", interfaces)
        for name, router in self.routers.items():
            self.lower_firewall(name)
            load_rules(router, text)
            # Without this, conntrack takes the middle of a session for its beginning.
            router.sysctl("net.netfilter.nf_conntrack_tcp_loose", 0)

    def lower_firewall(self, name: str) -> None:
        """Take a router's firewall away; nothing happens where there is none."""
        load_rules(self.routers[name], "table inet firewall\ndelete table inet firewall")

    def _member_line(self, name: str, weight: int | None, mode: str | None) -> str:
        more = "" if weight is None else f", weight = {weight}"
        more += "" if mode is None else f', mode = "{mode}"'
        return f'  {{ name = "{self.nodes[name].namespace}", interface = "{OUTSIDE}"{more} }},'

    def _router_line(self, name: str, weight: int | None) -> str:
        more = "" if weight is None else f", weight = {weight}"
        node = self.routers[name].namespace
        return f'  {{ name = "{node}", address = "{router_address(name)}"{more} }},'


def router_address(name: str, version: int = 4) -> str:
    """A router's address on the segment, where servers send to."""
    return _ROUTER[name][version]
