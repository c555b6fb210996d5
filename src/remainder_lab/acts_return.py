"""What ``return-path`` and ``whole-fleet`` show: both directions of a session meet one router.

Claims: 42-48.
Rule: packet sockets on the routers show which one carried a packet; the path a
session should take is calculated in advance.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from remainder.errors import HostError
from remainder.fleet import parts_of, tiers_of
from remainder.flow import Flow
from remainder.observe.report import report
from remainder.sources.file import load
from remainder_lab.patience import patient
from remainder_lab.tiered import INSIDE, OUTSIDE, ROUTERS, Tiered
from remainder_lab.traffic import Session, http_sessions
from remainder_lab.witness import Witness

SESSIONS: Final = 500
"""Of all IP versions together."""

KEYS: Final[Mapping[str, str]] = {
    "three-field sum": "src_ip + dst_ip + dst_port",
    "five-field sum": "src_ip + src_port + dst_ip + dst_port + protocol",
    "hash": "hash(src_ip, src_port)",
}
"""The formulas that are shown, by what they are called."""


@dataclass(frozen=True, kw_only=True)
class Trip:
    """Where a session was seen."""

    session: Session
    way_in: frozenset[str]
    """The routers that passed its requests on."""

    way_back: frozenset[str]
    """The routers that its answers reached."""

    wanted: Mapping[str, str | None]
    """Kind of a tier → the host that the calculation names there."""

    @property
    def whole(self) -> bool:
        """Both directions at one router, the calculated one, and at no other."""
        router = {self.wanted["cluster"]}
        return self.way_in == router == self.way_back == {self.wanted["return_path"]}

    @property
    def as_calculated(self) -> bool:
        """Every tier chose what the calculation says beforehand."""
        return self.whole and self.session.server == self.wanted["service"]


@dataclass(frozen=True, kw_only=True)
class Returned:
    """What became of sessions through the routers."""

    trips: tuple[Trip, ...]

    @property
    def broken(self) -> tuple[Session, ...]:
        """Sessions that were not answered."""
        return tuple(trip.session for trip in self.trips if not trip.session.ok)

    @property
    def strayed(self) -> tuple[Trip, ...]:
        """Sessions with a packet at another router than the calculated one."""
        return tuple(trip for trip in self.trips if not trip.whole)

    @property
    def miscalculated(self) -> tuple[Trip, ...]:
        """Sessions for which some tier chose otherwise than the calculation."""
        return tuple(trip for trip in self.trips if not trip.as_calculated)

    @property
    def carried(self) -> dict[str, int]:
        """Router → sessions of which it carried both directions."""
        names = sorted(name for trip in self.trips for name in trip.way_in | trip.way_back)
        return {
            name: sum(trip.way_in == {name} == trip.way_back for trip in self.trips)
            for name in dict.fromkeys(names)
        }


@dataclass(frozen=True, kw_only=True)
class WayBack:
    """The same sessions while servers choose, while they do not, and while they do again."""

    chosen: Returned
    not_chosen: Returned
    again: Returned

    @property
    def ok(self) -> bool:
        """Nothing breaks while servers choose; else exactly what came in elsewhere does."""
        whole = not any(part.broken or part.strayed for part in (self.chosen, self.again))
        return whole and set(self.elsewhere) == set(self.not_chosen.broken) != set()

    @property
    def elsewhere(self) -> tuple[Session, ...]:
        """Sessions that came in through another router than the servers' default route."""
        return tuple(
            trip.session for trip in self.not_chosen.trips if trip.wanted["cluster"] != ROUTERS[0]
        )


def show_way_back(scene: Tiered, path: Path) -> WayBack:
    """Stop the role on the servers, and start it again; routers have stateful firewalls."""
    chosen = show_sessions(scene, path)
    scene.stop_nodes(scene.servers)
    not_chosen = show_sessions(scene, path, timeout_s=1.0)
    scene.start_nodes(path, names=scene.servers)
    return WayBack(chosen=chosen, not_chosen=not_chosen, again=show_sessions(scene, path))


def show_sessions(scene: Tiered, path: Path, *, timeout_s: float = 5.0) -> Returned:
    """Sessions of all IP versions through a fleet that runs; where each of them was seen."""
    sessions: list[Session] = []
    with watching(scene) as (way_in, way_back):
        for version in scene.versions:
            sessions += http_sessions(
                scene.clients,
                scene.web(version),
                sources=scene.client_addresses[version],
                sessions=SESSIONS // len(scene.versions),
                concurrency=SESSIONS // 2,  # those that break wait side by side
                timeout_s=timeout_s,
            )
        inside, back = seen_at(way_in), seen_at(way_back)
    tiers = tiers_of(load(path))
    return Returned(
        trips=tuple(
            Trip(
                session=session,
                way_in=inside.get(session.flow, frozenset()),
                way_back=back.get(turned(session.flow), frozenset()),
                wanted={
                    tier.kind: _host_of(scene, tier.plan.where(session.flow).owner)
                    for tier in tiers
                },
            )
            for session in sessions
        )
    )


def publish(scene: Tiered, path: Path, text: str, names: Iterable[str] | None = None) -> None:
    """Write the file, and return when all nodes, or some, run by it."""
    path.write_text(text, encoding="utf-8")
    config = load(path)
    deadline_s = time.monotonic() + patient(10)
    for name in scene.nodes if names is None else names:
        node = scene.nodes[name].namespace
        for part in parts_of(config, node):
            while report(node, part.role)["fingerprint"]["tables"] != part.plan.fingerprint:
                if time.monotonic() > deadline_s:
                    raise HostError(f"{part.role} {name} did not publish the new file")
                time.sleep(0.05)


Accounts = tuple[list[Witness], list[Witness]]


@contextmanager
def watching(scene: Tiered) -> Iterator[Accounts]:
    """Witnesses at the routers: on the edge the way in, on the segment the way back.

    A member passes a frame on with its own MAC, so a witness sees what was kept.
    """
    with ExitStack() as stack:
        way_in, way_back = (
            [stack.enter_context(Witness(router, name)) for router in scene.routers.values()]
            for name in (OUTSIDE, INSIDE)
        )
        yield way_in, way_back


def seen_at(witnesses: Iterable[Witness]) -> dict[Flow, frozenset[str]]:
    """flow → the routers that saw it."""
    seen: dict[Flow, frozenset[str]] = {}
    for witness in witnesses:
        for flow in witness.packets():
            seen[flow] = seen.get(flow, frozenset()) | {witness.name}
    return seen


def turned(flow: Flow) -> Flow:
    """The flow of the answers."""
    return Flow(flow.dst_ip, flow.dst_port, flow.src_ip, flow.src_port, flow.protocol)


def _host_of(scene: Tiered, owner: str | None) -> str | None:
    """A member is named like its node, a server like its host."""
    return scene.name_of(owner) or owner
