"""The safest order of steps from one file to another.

Servers first, balancers last: a server that still has the old file resets the sessions
that the balancer sends it under the new one (docs/limits.md).
Rule: pure; sentences for people.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from remainder.change.chance import Breaks
from remainder.change.comparing import machine
from remainder.change.difference import Difference


def steps(found: Sequence[tuple[Difference, Breaks]]) -> list[str]:
    """What to do, in this order."""
    moving = [(one, broken) for one, broken in found if one.moved]
    if not moving:
        return ["install the new file on all nodes, in any order: no flow moves"]
    told: list[str] = []
    for one, broken in moving:
        told += _before(one, broken)
    kinds = {one.kind for one, broken in moving if broken.listed}
    if "service" in kinds:
        told.append(
            "install the new file on the servers, and wait until `remainder status` shows it on "
            "each; then on the balancers: in the other order sessions break in between"
        )
    if "cluster" in kinds:
        told.append("install the new file on all members of the cluster, one soon after another")
    if not kinds:
        told.append("install the new file on all nodes at about the same time")
    for one, broken in moving:
        told += _after(one, broken)
    if kinds:
        told.append(
            "once `remainder status` shows no second chance taken for as long as a session may "
            "last, run `remainder settle` and install the file again"
        )
    return list(dict.fromkeys(told))


def _before(one: Difference, broken: Breaks) -> Iterator[str]:
    if broken.with_chance is not None and not broken.listed:
        section = f"[[{one.kind}.before]]"
        yield (
            f"add the earlier calculation of {one.name} to the new file as {section}, or make the "
            f"change with `remainder add`, `drain`, `remove`, `weight` or `change-key`, which do: "
            f"without it the sessions that move break"
        )
    if broken.unable and one.kind == "service":
        yield (
            f"add interface to {', '.join(broken.unable)} in the new file, so that they pass on "
            f"the sessions of others"
        )
    if broken.unable and one.kind == "cluster":
        yield (
            f"keep {', '.join(broken.unable)} in the new file with weight 0, so that they keep "
            f"their sessions"
        )
    if broken.with_chance is None and broken.why:
        yield f"choose a time when few sessions of {one.name} are open: {broken.why}"


def _after(one: Difference, broken: Breaks) -> Iterator[str]:
    if one.before is None or one.after is None or broken.with_chance is None:
        return
    now = {machine(owner) for owner in one.after.owners if owner.weight}
    leaving = [
        one.names[machine(owner)]
        for owner in one.before.owners
        if owner.weight and machine(owner) not in now
    ]
    if leaving:
        yield f"leave {', '.join(leaving)} running until its sessions have ended"
