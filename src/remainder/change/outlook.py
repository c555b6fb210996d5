"""What a new file would do: what moves, what breaks, and the safest order of steps.

Rule: pure.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import get_args

from remainder.change.chance import Breaks, breaks
from remainder.change.difference import Difference, differences
from remainder.change.flow_lists import Seen
from remainder.change.sessions import Sessions, sessions
from remainder.change.steps import steps
from remainder.config import Config
from remainder.fleet import Tier, TierKind, tiers_of


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """Everything that can be said of a change before it is made."""

    differences: Sequence[tuple[Difference, Breaks]]
    steps: Sequence[str]
    sessions: Sessions | None
    """of the sessions that were given; None if none were"""

    @property
    def moved(self) -> Fraction:
        """What moves: of the given sessions, else of the choice that moves most."""
        if self.sessions is not None:
            total = self.sessions.total
            return Fraction(total.moved, max(total.sessions, 1))
        return max((one.moved for one, _ in self.differences), default=Fraction(0))


def outlook(before: Config, after: Config, given: Sequence[Seen] = ()) -> Outlook:
    """What replacing one file by another does, and to the given sessions if there are any."""
    return outlook_from(tiers_of(before), after, given)


def outlook_from(
    before: Sequence[Tier],
    after: Config,
    given: Sequence[Seen] = (),
    *,
    kinds: Collection[TierKind] = get_args(TierKind),
) -> Outlook:
    """The same, from the calculations that run; ``kinds``: what of the new file concerns them."""
    now = [tier for tier in tiers_of(after) if tier.kind in kinds]
    nodes = taking_part(after)
    found = [(one, breaks(one, nodes.get(one.name, ()))) for one in differences(before, now)]
    return Outlook(
        differences=found,
        steps=steps(found),
        sessions=sessions(before, now, given, nodes) if given else None,
    )


def taking_part(config: Config) -> dict[str, frozenset[str]]:
    """Service → the servers that pass on its sessions: those it lists with their interface."""
    return {
        service.name: frozenset(
            server.name
            for listed in (service.servers, *(item.servers for item in service.before))
            for server in listed
            if server.interface is not None
        )
        for service in config.service
    }
