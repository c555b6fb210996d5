"""The safest order of steps from one file to another.

Servers first, balancers last: a server that still has the old file resets the sessions
that the balancer sends it under the new one (docs/limits.md).
Rule: pure; sentences for people.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from remainder.change.chance import Breaks
from remainder.change.comparing import machine
from remainder.change.difference import Difference

_MOST_NAMES: Final = 12


def steps(found: Sequence[tuple[Difference, Breaks]]) -> list[str]:
    """What to do, in this order."""
    moving = [(one, broken) for one, broken in found if one.moved]
    if not moving:
        return ["install the new file on all nodes, in any order: no flow moves"]
    told = _before(moving)
    listed = any(broken.listed for _, broken in moving)
    if listed:
        told.append(
            "install the new file on the servers, and wait until `remainder status` shows it on "
            "each; then on the balancers: in the other order sessions break in between"
        )
    else:
        told.append("install the new file on all nodes at about the same time")
    leaving = [name for one, broken in moving for name in _leaving(one, broken)]
    if leaving:
        told.append(f"leave {_listed(leaving)} running until its sessions have ended")
    if listed:
        told.append(
            "once `remainder status` shows no second chance taken for as long as a session may "
            "last, run `remainder settle` and install the file again"
        )
    return told


def _before(moving: Sequence[tuple[Difference, Breaks]]) -> list[str]:
    """What is missing, each kind of it once."""
    told = []
    unlisted = [
        one.name for one, broken in moving if broken.with_chance is not None and not broken.listed
    ]
    if unlisted:
        told.append(
            f"list the earlier calculation of {_listed(unlisted)} in the new file, in a section "
            f"before, or make the change with `remainder add`, `drain`, `remove`, `weight` or "
            f"`change-key`, which do: without it the sessions that move break"
        )
    deaf = [name for _, broken in moving for name in broken.unable]
    if deaf:
        told.append(
            f"add interface to {_listed(deaf)} in the new file, and run it there, so that they "
            f"pass on the sessions of others"
        )
    reasons: dict[str, list[str]] = {}
    for one, broken in moving:
        if broken.with_chance is None and broken.why:
            reasons.setdefault(broken.why, []).append(one.name)
    told += [
        f"choose a time when few sessions of {_listed(names)} are open: {why}"
        for why, names in reasons.items()
    ]
    return told


def _leaving(one: Difference, broken: Breaks) -> Iterator[str]:
    if one.before is None or one.after is None or broken.with_chance is None:
        return
    now = {machine(owner) for owner in one.after.owners if owner.weight}
    for owner in one.before.owners:
        if owner.weight and machine(owner) not in now:
            yield one.shown(owner)


def _listed(names: Sequence[str]) -> str:
    """Names, each once, and not too many."""
    few = list(dict.fromkeys(names))
    more = f" and {len(few) - _MOST_NAMES} more" if len(few) > _MOST_NAMES else ""
    return ", ".join(few[:_MOST_NAMES]) + more
