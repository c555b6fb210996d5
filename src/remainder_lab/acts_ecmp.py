"""What ``ecmp`` shows: both balancers work, and a session does not care which one it meets.

Claim: 15.
Rule: the servers' own counters show which one got a packet, the balancers' which
one carried it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from remainder.flow import Flow
from remainder.observe.report import report
from remainder.plan import make_plan
from remainder.sources.file import load
from remainder_lab.ecmp import Ecmp
from remainder_lab.traffic import Session, http_sessions
from remainder_lab.witness import sessions_at, torn

SESSIONS: Final = 200
"""Of all IP versions together."""

REQUESTS: Final = 10


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What became of sessions that two balancers carried together."""

    sessions: tuple[Session, ...]
    torn: Mapping[Flow, Mapping[str, int]]
    """Sessions whose packets reached more than one server."""

    misdirected: tuple[Session, ...]
    """Sessions that met another server than the calculation names."""

    packets: int
    """What the servers' witnesses counted."""

    carried: Mapping[str, int]
    """Balancer → packets that it forwarded."""

    @property
    def broken(self) -> tuple[Session, ...]:
        """Sessions that were not answered, or by several servers."""
        return tuple(session for session in self.sessions if not session.ok)

    @property
    def ok(self) -> bool:
        """No session noticed, and each balancer carried something."""
        return not (self.broken or self.torn or self.misdirected) and all(self.carried.values())


def show_sharing(scene: Ecmp, path: Path, *, spray: bool) -> Shared:
    """Sessions over both balancers: each by one of them, or sprayed packet by packet."""
    plan = make_plan(load(path))
    sessions: list[Session] = []
    with ExitStack() as stack:
        stack.enter_context(scene.spraying() if spray else nullcontext())
        witnesses = stack.enter_context(scene.witnesses())
        before = _forwarded(scene)
        for version in scene.versions:
            sessions += http_sessions(
                scene.clients,
                scene.web(version),
                sources=scene.client_addresses[version],
                sessions=SESSIONS // len(scene.versions),
                requests=REQUESTS,
            )
        after = _forwarded(scene)
        seen = sessions_at(witnesses.values())
    ours = {session.flow: seen.get(session.flow, {}) for session in sessions}
    return Shared(
        sessions=tuple(sessions),
        torn=torn(ours),
        misdirected=tuple(
            session for session in sessions if plan.where(session.flow).owner != session.server
        ),
        packets=sum(sum(at.values()) for at in ours.values()),
        carried={name: after[name] - before[name] for name in after},
    )


def _forwarded(scene: Ecmp) -> dict[str, int]:
    return {
        name: int(report(host.namespace)["outcomes"]["forwarded"]["packets"])
        for name, host in scene.nodes.items()
    }
