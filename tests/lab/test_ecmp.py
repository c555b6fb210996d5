"""Two balancers that both work: any packet may take either (claim 15)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from remainder_lab import Ecmp, ecmp, hold_sessions
from remainder_lab.acts_ecmp import SESSIONS, show_sharing

pytestmark = [pytest.mark.root, pytest.mark.bpf]

SUM5 = "src_ip + src_port + dst_ip + dst_port + protocol"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ecmp") / "r.toml"


@pytest.fixture(scope="module")
def scene(file: Path) -> Iterator[Ecmp]:
    """Clients, router, two balancers that run, and four servers that serve."""
    with ecmp() as built:
        built.start_servers()
        file.write_text(built.config_text(key=SUM5, mode="native"))
        built.start_balancer(file)
        yield built


def test_packets_sprayed_over_two_balancers_reach_the_server_of_their_session(
    scene: Ecmp, file: Path
) -> None:
    """Packet by packet in turn: every session stays whole, and each balancer carries half."""
    shared = show_sharing(scene, file, spray=True)
    first, second = shared.carried.values()
    print(f"sprayed: {shared.carried}, {len(shared.broken)} broken")

    assert SESSIONS == len(shared.sessions)
    assert () == shared.broken
    assert {} == shared.torn
    assert () == shared.misdirected
    assert abs(first - second) <= 2
    assert first + second >= shared.packets > 10 * SESSIONS


def test_sessions_shared_by_a_hash_of_the_router_reach_the_same_servers(
    scene: Ecmp, file: Path
) -> None:
    """ECMP: each session by one of the balancers, neither by itself."""
    shared = show_sharing(scene, file, spray=False)
    print(f"by session: {shared.carried}, {len(shared.broken)} broken")

    assert SESSIONS == len(shared.sessions)
    assert () == shared.broken
    assert {} == shared.torn
    assert () == shared.misdirected
    assert min(shared.carried.values()) > 0.25 * sum(shared.carried.values())


def test_a_balancer_may_leave_and_come_back_under_open_sessions(scene: Ecmp) -> None:
    """The router takes it out of its route and in again; no session notices."""
    with hold_sessions(
        scene.clients,
        scene.web(),
        sources=scene.client_addresses[4],
        sessions=SESSIONS,
        interval_s=0.2,
    ) as held:
        for names in (["lb1"], ["lb2"], None):
            scene.share_by_session(names)
            time.sleep(0.6)  # each session asks twice at least
        sessions = held.stop()

    assert SESSIONS == len(sessions)
    assert [] == [session for session in sessions if not session.ok]
