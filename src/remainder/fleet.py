"""Which part of the file belongs to which node: a node finds its part by its name.

Claims: 15, 28, 34, 42, 44, 47 (several parties do the same calculation).
Rule: pure; the same file on every node.  Clusters and return paths become plans of
the same shape as the balancer's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from remainder.choice import cluster_choices, return_choices
from remainder.config import Cluster, Config, ReturnPath
from remainder.errors import ConfigError
from remainder.plan import Plan, Role, make_plan, plan_choice
from remainder.selection.salt import salted


@dataclass(frozen=True, kw_only=True)
class Part:
    """What one node does in one role."""

    role: Role
    interface: str | None  # None: the command line must name it
    plan: Plan
    mode: str = "auto"
    assign_vips: bool = False
    cluster_mac: bytes | None = None
    beside: tuple[str, ...] = ()
    """The other balancers of the file, which may hold the VIPs too."""
    vlan: int | None = None
    """The VLAN whose tag its frames carry; None: they carry none."""


def parts_of(config: Config, node: str) -> list[Part]:
    """All parts of a node, one for each role.

    If the file names no nodes, any node that runs it is a balancer.  Raises
    ConfigError, listing the nodes in the file, if the node is not among them.
    """
    parts = list(_parts(config, node))
    named = nodes_of(config)
    if not named:
        parts = [Part(role="balancer", interface=None, plan=make_plan(config))]
    if not parts:
        raise ConfigError(
            "",
            f"no node named {node!r} in the file, only {', '.join(named)}; choose with --node",
        )
    return parts


def nodes_of(config: Config) -> list[str]:
    """Every node in the file, in order, without duplicates."""
    names = [balancer.name for balancer in config.balancer]
    names += [member.name for cluster in config.cluster for member in cluster.members]
    names += [sender.name for path in config.return_path for sender in path.senders]
    return list(dict.fromkeys(names))


def _parts(config: Config, node: str) -> Iterator[Part]:
    for balancer in config.balancer:
        if balancer.name == node:
            yield Part(
                role="balancer",
                interface=balancer.interface,
                mode=balancer.mode,
                assign_vips=balancer.assign_vips,
                beside=tuple(other.name for other in config.balancer if other != balancer),
                vlan=balancer.vlan,
                plan=make_plan(config),
            )
    clusters = [
        cluster for cluster in config.cluster if node in {member.name for member in cluster.members}
    ]
    if clusters:
        member = next(member for member in clusters[0].members if member.name == node)
        yield Part(
            role="member",
            interface=member.interface,
            mode=member.mode,
            vlan=member.vlan,
            plan=member_plan(config, clusters, node=node),
            cluster_mac=clusters[0].mac,
        )
    paths = [
        path for path in config.return_path if node in {sender.name for sender in path.senders}
    ]
    if paths:
        sender = next(sender for sender in paths[0].senders if sender.name == node)
        yield Part(
            role="sender",
            interface=sender.interface,
            vlan=sender.vlan,
            plan=return_plan(config, paths),
        )


def member_plan(config: Config, clusters: list[Cluster], *, node: str | None = None) -> Plan:
    """What the members of some clusters calculate; ``node`` is the member itself."""
    return Plan(
        choices=tuple(
            plan_choice(choice) for cluster in clusters for choice in cluster_choices(cluster)
        ),
        secret=salted(config.secret, "routers"),
        role="member",
        node=node,
    )


def return_plan(config: Config, paths: list[ReturnPath]) -> Plan:
    """What senders calculate for what they send, on the flow of the way in."""
    return Plan(
        choices=tuple(
            plan_choice(choice) for path in paths for choice in return_choices(path, config.service)
        ),
        secret=salted(config.secret, "routers"),
        role="sender",
    )


TierKind = Literal["cluster", "service", "return_path"]


@dataclass(frozen=True, kw_only=True)
class Tier:
    """One calculation that a packet of the fleet meets."""

    kind: TierKind
    name: str
    plan: Plan


def tiers_of(config: Config) -> list[Tier]:
    """All calculations of a file, in the order in which a request and its answer pass them."""
    tiers = [
        Tier(kind="cluster", name=cluster.name, plan=member_plan(config, [cluster]))
        for cluster in config.cluster
    ]
    if config.service:
        tiers.append(Tier(kind="service", name="services", plan=make_plan(config)))
    tiers += [
        Tier(kind="return_path", name=path.name, plan=return_plan(config, [path]))
        for path in config.return_path
    ]
    return tiers
