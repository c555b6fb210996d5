"""What ``standby-pair`` shows: the active balancer dies under traffic, and comes back.

Claims: 15, 16.
Rule: every number comes from what the clients saw, or from the counters of
the balancer it is about.
"""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from remainder.errors import HostError
from remainder.kernel import libbpf, pins
from remainder.observe.report import report
from remainder_lab.heartbeat import Heartbeat
from remainder_lab.patience import patient
from remainder_lab.standby_pair import StandbyPair
from remainder_lab.traffic import HeldSessions, Session, hold_sessions

HELD_SESSIONS: Final = 200
"""Of all IP versions together."""

ASK_S: Final = 0.5
SETTLE_S: Final = 0.3
WATCH_S: Final = 0.5


@dataclass(frozen=True, kw_only=True)
class Death:
    """A way for a balancer to fail, and its way back."""

    title: str
    strike: Callable[[StandbyPair, str, Path], object]
    revive: Callable[[StandbyPair, str, Path], object]


def _restart_keepalived(scene: StandbyPair, name: str, path: Path) -> object:
    return scene.start_keepalived(name, path)


def _restart_balancer(scene: StandbyPair, name: str, path: Path) -> object:
    return scene.launch_balancer(name, path).wait_for("ready", timeout_s=20)


def _kill_and_detach(scene: StandbyPair, name: str, path: Path) -> None:
    """The pin stays, and says nothing."""
    del path
    process = scene.running(name)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    fd = libbpf.pinned(pins.folder_of(scene.nodes[name].namespace) / "link")
    libbpf.detach(fd)
    os.close(fd)


DEATHS: Final[Mapping[str, Death]] = {
    "silent": Death(
        title="the machine falls silent",
        strike=lambda scene, name, _: scene.segment.silence(scene.nodes[name]),
        revive=lambda scene, name, _: scene.segment.hear(scene.nodes[name]),
    ),
    "cable": Death(
        title="its cable is pulled",
        strike=lambda scene, name, _: scene.wires[name].down(),
        revive=lambda scene, name, _: scene.wires[name].up(),
    ),
    "sigterm": Death(
        title="its keepalived gets SIGTERM",
        strike=lambda scene, name, _: scene.keepaliveds[name].send_signal(signal.SIGTERM),
        revive=_restart_keepalived,
    ),
    "sigkill": Death(
        title="its keepalived gets kill -9",
        strike=lambda scene, name, _: scene.keepaliveds[name].kill(),
        revive=_restart_keepalived,
    ),
    "data-plane": Death(
        title="its data plane is stopped",
        strike=lambda scene, name, _: scene.running(name).send_signal(signal.SIGTERM),
        revive=_restart_balancer,
    ),
    "detached": Death(
        title="its process is dead and a stranger detaches its program",
        strike=_kill_and_detach,
        revive=_restart_balancer,
    ),
}


@dataclass(frozen=True, kw_only=True)
class Phase:
    """What happened around one event."""

    interruptions_s: Mapping[int, float]
    """IP version → how long the VIP was away."""

    forwarded: Mapping[str, int]
    """Balancer → packets it forwarded once settled: in half a second, longer on slow machines."""


@dataclass(frozen=True, kw_only=True)
class Takeover:
    """What became of the traffic when the active balancer died, and when it came back."""

    death: Death
    before: Phase
    dead: Phase
    back: Phase
    held: int
    requests: int
    broken: tuple[Session, ...]
    longest_wait_s: float
    """The longest that one request of a session had to wait: with TCP's own back-off."""

    @property
    def ok(self) -> bool:
        """No session was broken, and only one balancer worked at a time: the right one."""
        first, second = self.before.forwarded
        return (
            not self.broken
            and self.held == HELD_SESSIONS
            and _only(first, self.before)
            and _only(second, self.dead)
            and _only(first, self.back)
        )


Look = Callable[[str], None]
"""Called with a sentence when something happens."""


def show_takeover(
    scene: StandbyPair, path: Path, death: Death, *, look: Look = lambda _: None
) -> Takeover:
    """Let the active balancer die under traffic, and come back; both run, the first is active."""
    first, second = scene.nodes
    targets = {version: scene.echo(version) for version in scene.versions}
    with ExitStack() as stack:
        held = [stack.enter_context(_held(scene, version)) for version in scene.versions]
        heartbeat = stack.enter_context(Heartbeat(scene.clients, targets))
        look(f"{HELD_SESSIONS} sessions are open; {first} is active")
        before = _phase(scene, heartbeat, time.monotonic())
        begun_s = time.monotonic()
        death.strike(scene, first, path)
        scene.wait_until_active(second)
        look(f"{death.title}: {second} is active")
        dead = _phase(scene, heartbeat, begun_s)
        begun_s = time.monotonic()
        death.revive(scene, first, path)
        scene.wait_until_alone(first)
        look(f"{first} is back, and active")
        back = _phase(scene, heartbeat, begun_s)
        sessions = [session for part in held for session in part.stop()]
    return Takeover(
        death=death,
        before=before,
        dead=dead,
        back=back,
        held=len(sessions),
        requests=sum(session.requests for session in sessions),
        broken=tuple(session for session in sessions if not session.ok),
        longest_wait_s=max((session.longest_wait_s for session in sessions), default=math.inf),
    )


def _held(scene: StandbyPair, version: int) -> HeldSessions:
    return hold_sessions(
        scene.clients,
        scene.web(version),
        sources=scene.client_addresses[version],
        sessions=HELD_SESSIONS // len(scene.versions),
        interval_s=ASK_S,
        timeout_s=10,
    )


def _phase(scene: StandbyPair, heartbeat: Heartbeat, begun_s: float) -> Phase:
    time.sleep(patient(SETTLE_S))
    settled = _forwarded(scene)
    time.sleep(patient(WATCH_S))
    forwarded = {name: count - settled[name] for name, count in _forwarded(scene).items()}
    return Phase(
        interruptions_s=heartbeat.interruptions_s(begun_s, time.monotonic()), forwarded=forwarded
    )


def _forwarded(scene: StandbyPair) -> dict[str, int]:
    """Packets that each balancer has forwarded so far; one without a data plane forwards none."""
    return {name: _forwarded_by(host.namespace) for name, host in scene.nodes.items()}


def _forwarded_by(node: str) -> int:
    try:
        return int(report(node)["outcomes"]["forwarded"]["packets"])
    except HostError:
        return 0  # nothing runs there


def _only(name: str, phase: Phase) -> bool:
    others = sum(count for other, count in phase.forwarded.items() if other != name)
    return phase.forwarded[name] > 0 and not others
