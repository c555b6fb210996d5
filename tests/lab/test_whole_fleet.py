"""Routers, balancers and servers, each doing the calculation, from one file (claims 42 to 48)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from remainder.observe.report import report
from remainder_lab import hold_sessions, http_sessions
from remainder_lab.acts_return import KEYS, SESSIONS, publish, show_sessions
from remainder_lab.tiered_network import route_to_vips
from remainder_lab.whole_fleet import WholeFleet, whole_fleet

pytestmark = [pytest.mark.root, pytest.mark.bpf]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fleet") / "r.toml"


@pytest.fixture(scope="module")
def scene(file: Path) -> Iterator[WholeFleet]:
    """Every node runs by the same file; the routers have stateful firewalls."""
    with whole_fleet() as built:
        built.start_servers()
        built.raise_firewalls()
        file.write_text(built.config_text(mode="native"))
        built.start_balancer(file)
        yield built


def forwarded(scene: WholeFleet) -> dict[str, int]:
    return {
        name: report(host.namespace)["outcomes"]["forwarded"]["packets"]
        for name, host in scene.middle.items()
    }


@pytest.mark.parametrize(
    ("key", "table"),
    [*((key, "modulo") for key in KEYS.values()), (KEYS["five-field sum"], "maglev")],
    ids=[*KEYS, "five-field sum, maglev"],
)
def test_every_tier_chooses_what_the_calculation_says_beforehand(
    scene: WholeFleet, file: Path, key: str, table: str
) -> None:
    """500 sessions: the router on the way in, the server, and the router on the way back."""
    publish(scene, file, scene.config_text(key=key, table=table, mode="native"))
    before = forwarded(scene)
    returned = show_sessions(scene, file)
    balanced = {name: count - before[name] for name, count in forwarded(scene).items()}
    print(f"{key}, {table}: {returned.carried}, {balanced}, {len(returned.broken)} broken")
    choices = {(trip.wanted["cluster"], trip.wanted["service"]) for trip in returned.trips}

    assert SESSIONS == len(returned.trips)
    assert () == returned.broken
    assert () == returned.miscalculated
    assert {"r1", "r2"} == {router for router, _ in choices} == set(returned.carried)
    assert set(scene.servers) == {server for _, server in choices}
    assert all(balanced.values())


def test_a_balancer_may_leave_the_fleet_under_open_sessions(scene: WholeFleet) -> None:
    """The routers send everything to the other one, which gives the same answers."""
    with hold_sessions(
        scene.clients, scene.web(), sources=scene.client_addresses[4], sessions=100, interval_s=0.2
    ) as held:
        for names in (["lb1"], ["lb2"], list(scene.middle)):
            route_to_vips(scene, names)
            scene_sessions = http_sessions(
                scene.clients, scene.web(), sources=scene.client_addresses[4], sessions=100
            )

            assert [] == [session for session in scene_sessions if not session.ok]
        sessions = held.stop()

    assert 100 == len(sessions)
    assert [] == [session for session in sessions if not session.ok]


def test_the_whole_fleet_outlives_its_processes(scene: WholeFleet, file: Path) -> None:
    """kill -9 of every process on every node: packets find their way as before."""
    for name in scene.nodes:
        scene.running(name).kill()
    alone = show_sessions(scene, file)
    scene.start_balancer(file)
    again = show_sessions(scene, file)

    assert () == alone.broken
    assert () == alone.miscalculated
    assert () == again.broken
    assert () == again.miscalculated
