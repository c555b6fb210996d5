"""Does the way back lead through the router that the way in has chosen?

Claims: 44-48.
A ``[[cluster]]`` of routers and the ``[[return_path]]`` of the servers behind
them are two sections that must make the same choice.  Otherwise sessions break
at stateful routers; since a file may intend that, this only warns.
Rule: pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from msgspec.structs import replace

from remainder.choice import Choice, cluster_choices, return_choices
from remainder.config import Cluster, Config, ReturnPath
from remainder.selection.key import Key


@dataclass(frozen=True, kw_only=True)
class Parting:
    """A cluster and a return path of the same routers, and what differs."""

    cluster: str
    return_path: str
    differs: tuple[str, ...]
    """``key ('src_ip' and 'dst_ip')``: that of the cluster, that of the return path."""

    @property
    def sentence(self) -> str:
        """For people."""
        return (
            f"cluster {self.cluster!r} and return_path {self.return_path!r} choose between the "
            f"same routers but differ in {', in '.join(self.differs)}, so answers can leave "
            f"through another router than the one their request came in by; use the same in both"
        )


def partings(config: Config) -> list[Parting]:
    """Every pair of sections that names the same routers but chooses differently.

    Only a cluster with address ``any`` takes packets that pass through its members.
    """
    found = []
    for cluster in config.cluster:
        for path in config.return_path:
            members = {member.name for member in cluster.members}
            if cluster.address is None and members & {router.name for router in path.routers}:
                differs = tuple(_differences(cluster, path))
                if differs:
                    found.append(
                        Parting(cluster=cluster.name, return_path=path.name, differs=differs)
                    )
    return found


def _differences(cluster: Cluster, path: ReturnPath) -> Iterator[str]:
    # A path makes the same choice for all packets it covers.
    one, other = cluster_choices(cluster)[0], return_choices(replace(path, others=True), ())[0]
    in_, back = _owners(one), _owners(other)
    if len(set(in_)) == 1 and set(in_) == set(back):
        return  # no choice to make
    if _meaning(one.key) != _meaning(other.key):
        yield f"key ({str(one.key)!r} and {str(other.key)!r})"
    if in_ == back:
        return
    if one.table != other.table:
        yield f"table ({one.table!r} and {other.table!r})"
    elif len(in_) != len(back) and (one.table != "modulo" or one.slots or other.slots):
        yield f"slots ({len(in_):,} and {len(back):,})"
    ours, theirs = _written(one), _written(other)
    if set(ours) != set(theirs):  # of a modulo table with slots: with their slots
        yield f"routers ({_listed(ours)} and {_listed(theirs)})"
    elif one.table == other.table == "modulo" and ours != theirs:
        yield f"the order of the routers ({_listed(ours)} and {_listed(theirs)})"


def _owners(choice: Choice) -> list[str]:
    """Slot → name of its owner."""
    return [choice.owners[number].name for number in choice.filled().tolist()]


def _meaning(key: Key) -> tuple[bool, frozenset[str]]:
    """The order of the fields does not change the key."""
    return key.hashed, frozenset(key.fields)


def _written(choice: Choice) -> list[tuple[str, int]]:
    return [
        (owner.name if owner.home is None else f"{owner.name}@{owner.home}", owner.weight)
        for owner in choice.owners
        if owner.weight
    ]


def _listed(owners: list[tuple[str, int]]) -> str:
    return " ".join(name if weight == 1 else f"{name}*{weight}" for name, weight in owners)
