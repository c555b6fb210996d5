"""What runs on this host, as calculations to compare a file with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from remainder.config import Config
from remainder.errors import HostError
from remainder.fleet import Tier, TierKind
from remainder.observe.agreement import rebuilt
from remainder.observe.report import reports
from remainder.plan import Plan, Role
from remainder.selection.salt import salted

KIND: Final[Mapping[Role, TierKind]] = {
    "balancer": "service",
    "member": "cluster",
    "sender": "return_path",
}


def running_tiers(node: str, new: Config) -> list[Tier]:
    """The calculations of a node that runs here; the secret is that of the new file.

    Raises HostError if none runs.
    """
    found = reports(node)
    tiers = [
        tier
        for told in found
        if "error" not in told and told["role"] in KIND
        for tier in _tiers(told, new)
    ]
    if not tiers:
        raise HostError(
            f"nothing of node {node!r} runs here; give the file that runs elsewhere as OLD",
            id="nothing-runs",
        )
    return tiers


def _tiers(told: Mapping[str, Any], new: Config) -> list[Tier]:
    kind = KIND[told["role"]]
    plan = rebuilt(told, salted(new.secret, "services" if kind == "service" else "routers"))
    if kind == "service":
        return [Tier(kind=kind, name="services", plan=plan)]
    names = dict.fromkeys(planned.name.split("/")[0] for planned in plan.choices)
    return [
        Tier(
            kind=kind,
            name=name,
            plan=Plan(
                choices=tuple(one for one in plan.choices if one.name.split("/")[0] == name),
                secret=plan.secret,
                role=plan.role,
            ),
        )
        for name in names
    ]
