"""Sessions live through changes of servers and of the formula, on a real kernel."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from remainder.plan import Plan, make_plan
from remainder.sources.file import load
from remainder_lab import Session, hold_sessions, http_sessions
from remainder_lab.changing_servers import Calculation, ChangingServers, changing_servers
from remainder_lab.nft import load_rules
from remainder_lab.traffic import HeldSessions

pytestmark = [pytest.mark.root, pytest.mark.bpf, pytest.mark.timeout(240)]

SECRET: Final = "d1c2a7f4093be86a5f1e7720c94ab3d8"
SUM3: Final = "src_ip + dst_ip + dst_port"
THREE: Final = Calculation(servers=["s1", "s2", "s3"])
FOUR: Final = Calculation(servers=["s1", "s2", "s3", "s4"], key=SUM3)
HASHED: Final = Calculation(
    servers=["s1", "s2", "s3", "s4"],
    key="hash(src_ip, src_port)",
    table="maglev",
    slots=251,
    weights={"s2": 3},
)
DRAINED: Final = Calculation(servers=["s1", "s2", "s4", "s5"], key=SUM3, weights={"s1": 0, "s2": 2})
HELD: Final = 60
"""Sessions of each version and generation."""


@pytest.fixture(scope="module")
def built() -> Iterator[ChangingServers]:
    with changing_servers(clients=HELD) as scene:
        scene.start_servers()
        yield scene


@pytest.fixture
def scene(built: ChangingServers) -> Iterator[ChangingServers]:
    """The same for one test; a failed one leaves no process to the next."""
    yield built
    for process in built.balancers:
        process.terminate()
    built.balancers.clear()
    # All servers of the lab share the secret of one kernel, so that each takes the cookies of
    # every other for its own; real ones do not.
    for server in built.servers.values():
        server.sysctl("net.ipv4.tcp_syncookies", 1)


@dataclass
class Files:
    """What servers read, and what the balancer reads: a change reaches the servers first."""

    scene: ChangingServers
    servers: Path
    balancer: Path

    def start(self, text: str, names: list[str]) -> None:
        self.servers.write_text(text)
        self.balancer.write_text(text)
        self.scene.start_nodes(self.servers, names=names)
        self.scene.start_nodes(self.balancer, names=["lb1"])

    def change(self, text: str, *, new: list[str], old: list[str]) -> None:
        self.servers.write_text(text)
        self.scene.start_nodes(self.servers, names=new)
        self.scene.wait_until_published(self.servers, old)
        self.balancer.write_text(text)
        self.scene.wait_until_published(self.balancer, ["lb1"])

    @property
    def plan(self) -> Plan:
        return make_plan(load(self.balancer))


@pytest.fixture
def files(scene: ChangingServers, tmp_path: Path) -> Files:
    return Files(scene, tmp_path / "servers.toml", tmp_path / "balancer.toml")


def held(scene: ChangingServers, version: int) -> HeldSessions:
    return hold_sessions(
        scene.clients, scene.web(version), sources=scene.client_addresses[version], interval_s=0.3
    )


def moved(before: Plan, after: Plan, sessions: list[Session]) -> set[str]:
    return {
        item.client
        for item in sessions
        if before.where(item.flow).owner != after.where(item.flow).owner
    }


@pytest.mark.parametrize(("mode", "syncookies"), [("generic", 1), ("native", 0), ("generic", 2)])
def test_sessions_live_through_three_changes_one_upon_another(
    scene: ChangingServers, files: Files, mode: str, syncookies: int
) -> None:
    """Another server and key; a hash, a Maglev table, weights; one drained, one gone, one new."""
    for server in scene.servers.values():
        server.sysctl("net.ipv4.tcp_syncookies", syncookies)
    files.start(scene.file_text(THREE, mode=mode), ["s1", "s2", "s3"])
    plans = [files.plan]
    generations: list[list[HeldSessions]] = []
    changes = [
        (FOUR, [THREE], ["s4"], ["s1", "s2", "s3"]),
        (HASHED, [FOUR, THREE], [], ["s1", "s2", "s3", "s4"]),
        (DRAINED, [HASHED, FOUR, THREE], ["s5"], ["s1", "s2", "s3", "s4"]),
    ]
    with ExitStack() as stack:
        for now, before, new, old in changes:
            generations.append([stack.enter_context(held(scene, item)) for item in (4, 6)])
            files.change(scene.file_text(now, *before, mode=mode, secret=SECRET), new=new, old=old)
            plans.append(files.plan)
        time.sleep(1.5)
        seen = [[item for one in group for item in one.stop()] for group in generations]

    for plan, sessions in zip(plans, seen, strict=False):
        assert 2 * HELD == len(sessions)
        assert len(moved(plan, plans[-1], sessions)) > HELD // 2
        assert [] == [item for item in sessions if not item.ok]
        assert [] == [
            item for item in sessions if scene.name_of(plan.where(item.flow).owner) != item.server
        ]


def test_without_the_second_chance_exactly_the_sessions_that_move_break(
    scene: ChangingServers, files: Files
) -> None:
    """The file remembers, but no server names its interface."""
    files.start(scene.file_text(THREE, chance=False), [])
    before = files.plan
    with held(scene, 4) as sessions:
        files.change(scene.file_text(FOUR, THREE, chance=False), new=[], old=[])
        time.sleep(1)
        seen = sessions.stop()

    assert len(moved(before, files.plan, seen)) > HELD // 4
    assert moved(before, files.plan, seen) == {item.client for item in seen if not item.ok}


def test_a_balancer_that_changes_before_the_servers_breaks_the_sessions_that_move(
    scene: ChangingServers, files: Files
) -> None:
    """The wrong order, as docs/changing-servers.md says."""
    files.start(scene.file_text(THREE), ["s1", "s2", "s3"])
    before = files.plan
    with held(scene, 4) as sessions:
        files.balancer.write_text(scene.file_text(FOUR, THREE))
        scene.wait_until_published(files.balancer, ["lb1"])
        time.sleep(1)
        seen = sessions.stop()

    assert moved(before, files.plan, seen) == {item.client for item in seen if not item.ok}


def test_packets_sprayed_over_an_old_and_a_new_balancer_lose_no_session(
    scene: ChangingServers, files: Files, tmp_path: Path
) -> None:
    """Servers first; then half of the packets come by each calculation, for a while."""
    second = tmp_path / "second.toml"
    text = scene.file_text(THREE)
    files.start(text, ["s1", "s2", "s3"])
    second.write_text(text)
    scene.start_nodes(second, names=["lb2"])
    before = files.plan
    with held(scene, 4) as one, held(scene, 6) as other:
        files.change(scene.file_text(FOUR, THREE), new=["s4"], old=["s1", "s2", "s3"])
        with scene.spraying():
            begun = http_sessions(
                scene.clients,
                scene.web(),
                sources=scene.client_addresses[4],
                sessions=4 * HELD,
                requests=5,
            )
            second.write_text(files.balancer.read_text())
            scene.wait_until_published(second, ["lb2"])
            time.sleep(1)
        seen = [*one.stop(), *other.stop()]

    assert len(moved(before, files.plan, seen)) > HELD // 2
    assert [] == [item for item in (*seen, *begun) if not item.ok]


REDIRECTED: Final = """
table ip lab {{
  chain prerouting {{
    type nat hook prerouting priority dstnat;
    ip daddr {vip} tcp dport 80 redirect to :8080
  }}
}}
"""


def test_a_server_whose_listener_is_elsewhere_keeps_all_it_gets(
    scene: ChangingServers, files: Files
) -> None:
    """Behind a redirect no session is visible, so none is taken for another server's."""
    server = scene.servers["s4"]
    files.start(scene.file_text(FOUR, THREE), ["s1", "s2", "s3", "s4"])
    for process in server.processes:
        if process.title == "server s4":
            process.terminate()
    hidden = server.popen(
        [
            *(sys.executable, "-m", "remainder_lab.servers", "--name=s4", "--port=8080"),
            f"--bind={scene.servers_own('s4')}",
        ],
        title="hidden server s4",
    )
    hidden.wait_for("ready")
    load_rules(server, REDIRECTED.format(vip=scene.vips[4]))
    sessions = http_sessions(
        scene.clients, scene.web(), sources=scene.client_addresses[4], sessions=200
    )
    load_rules(server, "delete table ip lab")
    hidden.terminate()
    scene.start_servers(["s4"])

    assert {"s1", "s2", "s3", "s4"} == {item.server for item in sessions}
    assert [] == [item for item in sessions if not item.ok]
