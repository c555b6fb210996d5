"""What ``cluster`` shows: every member hears everything, one of them answers, and one may go.

Claims: 28-30, 34-43.
Rule: the members' own servers and sockets show which one got a packet; what
Remainder counts is only compared with that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from remainder.fleet import member_plan
from remainder.flow import Flow
from remainder.observe.report import report
from remainder.plan import Plan
from remainder.sources.file import load
from remainder_lab.cluster import Cluster
from remainder_lab.patience import patient
from remainder_lab.traffic import Session, hold_sessions, http_sessions, udp_exchanges
from remainder_lab.witness import sessions_at, torn

TCP_SESSIONS: Final = 500
UDP_EXCHANGES: Final = 100
HELD_SESSIONS: Final = 300
"""Each of all IP versions together."""

ASK_S: Final = 0.3
SETTLE_S: Final = 0.15


@dataclass(frozen=True, kw_only=True)
class Selected:
    """What became of sessions that a cluster divided among its members."""

    sessions: tuple[Session, ...]
    torn: Mapping[Flow, Mapping[str, int]]
    """Sessions whose packets reached the stack of more than one member."""

    misdirected: tuple[Session, ...]
    """Sessions that another member answered than the calculation names."""

    packets: Mapping[str, int]
    """Member → packets that its witness counted."""

    kept: Mapping[str, int]
    """Member → packets that it kept, by its own counter."""

    heard: Mapping[str, int]
    """Member → packets that it kept or left, by its own counters."""

    @property
    def broken(self) -> tuple[Session, ...]:
        """Sessions that were not answered, or by several members."""
        return tuple(session for session in self.sessions if not session.ok)

    @property
    def ok(self) -> bool:
        """Every packet was heard by all and kept by one."""
        return (
            not (self.broken or self.torn or self.misdirected)
            and self.kept == self.packets
            and set(self.heard.values()) == {sum(self.kept.values())}
        )


@dataclass(frozen=True, kw_only=True)
class Moved:
    """What became of open sessions when the members of a cluster changed."""

    sessions: tuple[Session, ...]
    moved: frozenset[Flow]
    """Sessions that the calculation gives to another member now."""

    @property
    def broken(self) -> frozenset[Flow]:
        """Sessions that noticed."""
        return frozenset(session.flow for session in self.sessions if not session.ok)


def plan_of(path: Path) -> Plan:
    """What the members of the file's clusters calculate."""
    config = load(path)
    return member_plan(config, config.cluster)


def show_selection(
    scene: Cluster, path: Path, *, tcp: int = TCP_SESSIONS, udp: int = UDP_EXCHANGES
) -> Selected:
    """Sessions to the shared addresses, over TCP and UDP; all members run."""
    plan = plan_of(path)
    sessions: list[Session] = []
    with scene.witnesses() as witnesses:
        before = _counted(scene)
        for version in scene.versions:
            sources = scene.client_addresses[version]
            share = len(scene.versions)
            sessions += http_sessions(
                scene.clients, scene.web(version), sources=sources, sessions=tcp // share
            )
            sessions += udp_exchanges(
                scene.clients, scene.echo(version), sources=sources, flows=udp // share
            )
        time.sleep(patient(SETTLE_S))  # the last acknowledgements are still on their way
        after = _counted(scene)
        seen = sessions_at(witnesses.values())
    ours = {session.flow: seen.get(session.flow, {}) for session in sessions}
    kept = {name: after[name]["kept"] - before[name]["kept"] for name in after}
    left = {name: after[name]["left"] - before[name]["left"] for name in after}
    return Selected(
        sessions=tuple(sessions),
        torn=torn(ours),
        misdirected=tuple(
            session
            for session in sessions
            if scene.name_of(plan.where(session.flow).owner) != session.server
        ),
        packets={name: sum(at.get(name, 0) for at in ours.values()) for name in scene.members},
        kept=kept,
        heard={name: kept[name] + left[name] for name in kept},
    )


def show_leaving(
    scene: Cluster, path: Path, text: str, *, leaver: str, held: int = HELD_SESSIONS
) -> Moved:
    """A member stops under open sessions, and the others follow a file without it."""

    def leave() -> None:
        scene.running(leaver).terminate()
        publish(scene, path, text, names=[name for name in scene.members if name != leaver])

    return _under_sessions(scene, path, leave, held)


def show_joining(
    scene: Cluster, path: Path, text: str, *, joiner: str, held: int = HELD_SESSIONS
) -> Moved:
    """The others follow a file with one member more, then that one starts."""

    def join() -> None:
        publish(scene, path, text, names=[name for name in scene.members if name != joiner])
        scene.start_nodes(path, names=[joiner])

    return _under_sessions(scene, path, join, held)


def publish(
    scene: Cluster, path: Path, text: str, *, names: Iterable[str], timeout_s: float = 10.0
) -> Plan:
    """Write the file, and return when these members calculate by it."""
    path.write_text(text, encoding="utf-8")
    plan = plan_of(path)
    deadline_s = time.monotonic() + patient(timeout_s)
    for name in names:
        while _report(scene, name)["fingerprint"]["tables"] != plan.fingerprint:
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"{name} did not publish the new file")
            time.sleep(0.02)
    return plan


def _under_sessions(scene: Cluster, path: Path, change: Callable[[], object], held: int) -> Moved:
    before = plan_of(path)
    share = held // len(scene.versions)
    with ExitStack() as stack:
        open_sessions = [
            stack.enter_context(
                hold_sessions(
                    scene.clients,
                    scene.web(version),
                    sources=scene.client_addresses[version],
                    sessions=share,
                    interval_s=ASK_S,
                )
            )
            for version in scene.versions
        ]
        change()
        time.sleep(patient(4 * ASK_S))  # each asks at least twice more
        with ThreadPoolExecutor() as pool:
            sessions = [
                session
                for found in pool.map(lambda one: one.stop(), open_sessions)
                for session in found
            ]
    after = plan_of(path)
    return Moved(
        sessions=tuple(sessions),
        moved=frozenset(
            session.flow
            for session in sessions
            if before.where(session.flow).owner != after.where(session.flow).owner
        ),
    )


def _counted(scene: Cluster) -> dict[str, dict[str, int]]:
    return {
        name: {what: count["packets"] for what, count in _report(scene, name)["outcomes"].items()}
        for name in scene.members
    }


def _report(scene: Cluster, name: str) -> dict[str, Any]:
    return report(scene.members[name].namespace, "member")
