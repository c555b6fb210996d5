"""Does the way back lead through the router that the way in has chosen?

Claims: 44-48.
A ``[[cluster]]`` of routers and the ``[[return_path]]`` of the servers behind
them are two sections that must make one choice.  Where they do not, sessions
break at routers that remember them; a file may still want it, so this warns.
Rule: pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from remainder.config import Cluster, Config, ReturnPath
from remainder.selection import ALGORITHMS
from remainder.selection.key import Key, parse_key


@dataclass(frozen=True, kw_only=True)
class Parting:
    """A cluster and a return path of the same routers, and what differs."""

    cluster: str
    return_path: str
    differs: tuple[str, ...]
    """``key 'src_ip' and 'dst_ip'``: what stands in the cluster, what in the return path."""

    @property
    def sentence(self) -> str:
        """For people."""
        return (
            f"cluster {self.cluster!r} and return_path {self.return_path!r} choose between the "
            f"same routers but differ in {', in '.join(self.differs)}, so answers leave through "
            f"another router than their requests came by; write the same in both"
        )


def partings(config: Config) -> list[Parting]:
    """Every pair of sections that names the same routers and chooses otherwise.

    Only a cluster of address ``any`` takes what goes through its members.
    """
    found = []
    for cluster in config.cluster:
        for path in config.return_path:
            members = {member.name for member in cluster.members}
            if cluster.ip is None and members & {router.name for router in path.routers}:
                differs = tuple(_differences(cluster, path))
                if differs:
                    found.append(
                        Parting(cluster=cluster.name, return_path=path.name, differs=differs)
                    )
    return found


def _differences(cluster: Cluster, path: ReturnPath) -> Iterator[str]:
    in_, back = _owners(cluster), _owners(path)
    if len(set(in_)) == 1 and set(in_) == set(back):
        return  # there is no choice
    if _meaning(parse_key(cluster.key)) != _meaning(parse_key(path.key)):
        yield f"key ({cluster.key!r} and {path.key!r})"
    if in_ == back:
        return
    if cluster.table != path.table:
        yield f"table ({cluster.table!r} and {path.table!r})"
    elif cluster.table == "maglev" and len(in_) != len(back):
        yield f"slots ({len(in_):,} and {len(back):,})"
    one, other = _written(cluster), _written(path)
    if set(one) != set(other):
        yield f"routers ({_listed(one)} and {_listed(other)})"
    elif cluster.table == path.table == "modulo" and one != other:
        yield f"the order of the routers ({_listed(one)} and {_listed(other)})"


def _owners(choice: Cluster | ReturnPath) -> list[str]:
    """Slot → name of its owner."""
    owners = choice.members if isinstance(choice, Cluster) else choice.routers
    names = [owner.name for owner in owners]
    table = ALGORITHMS[choice.table]([owner.weight for owner in owners], names, choice.slots)
    return [names[number] for number in table.tolist()]


def _meaning(key: Key) -> tuple[bool, frozenset[str]]:
    """The order of the fields changes no number."""
    return key.hashed, frozenset(key.fields)


def _written(choice: Cluster | ReturnPath) -> list[tuple[str, int]]:
    owners = choice.members if isinstance(choice, Cluster) else choice.routers
    return [(owner.name, owner.weight) for owner in owners if owner.weight]


def _listed(owners: list[tuple[str, int]]) -> str:
    return " ".join(name if weight == 1 else f"{name}*{weight}" for name, weight in owners)
