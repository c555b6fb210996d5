"""The balancer on a real kernel with real TCP and UDP (claims 1-14, 18-33)."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from remainder.plan import Plan, make_plan
from remainder.sources.file import load
from remainder_lab import (
    OneService,
    Session,
    hold_sessions,
    http_sessions,
    sessions_at,
    torn,
    transfer,
    udp_exchanges,
)
from remainder_lab.patience import patient
from tests.lab.balancing import balancing, misdirected, status

pytestmark = [pytest.mark.root, pytest.mark.bpf]

SUM3 = "src_ip + dst_ip + dst_port"
SUM5 = "src_ip + src_port + dst_ip + dst_port + protocol"
HASH = "hash(src_ip, src_port)"
SECRET = "8f1d0c5ab3e27946d1f0a86e35bc9247"
MEGABYTE = 1_000_000


@pytest.mark.parametrize("mode", ["native", "generic"])
@pytest.mark.parametrize(
    ("key", "table"), [(SUM3, "modulo"), (SUM5, "modulo"), (SUM5, "maglev"), (HASH, "maglev")]
)
def test_every_packet_of_a_session_reaches_the_server_the_calculation_names(
    scene: OneService, tmp_path: Path, key: str, table: str, mode: str
) -> None:
    """TCP and UDP, IPv4 and IPv6; told by the servers' own counters."""
    text = scene.config_text(key=key, table=table, secret=SECRET)
    with (
        balancing(scene, tmp_path / "r.toml", text, "--mode", mode) as plan,
        scene.witnesses() as witnesses,
    ):
        sessions: list[Session] = []
        for version in scene.versions:
            sources = scene.client_addresses[version]
            sessions += http_sessions(
                scene.clients, scene.web(version), sources=sources, sessions=100
            )
            sessions += udp_exchanges(scene.clients, scene.echo(version), sources=sources, flows=50)
        seen = sessions_at(witnesses.values())

    assert [] == [item for item in sessions if not item.ok]
    assert [] == misdirected(plan, sessions)
    assert {} == torn({item.flow: seen[item.flow] for item in sessions})
    assert 0 == sum(witness.lost for witness in witnesses.values())
    for item in sessions:
        assert {item.server} == set(seen[item.flow])


@pytest.mark.parametrize("mode", ["native", "generic"])
@pytest.mark.parametrize("version", [4, 6])
def test_large_transfers_arrive_intact(
    scene: OneService, tmp_path: Path, mode: str, version: int
) -> None:
    """50 MB up and 50 MB down through the balancer, checksums compared at both ends."""
    with balancing(scene, tmp_path / "r.toml", scene.config_text(), "--mode", mode):
        moved = transfer(
            scene.clients,
            scene.web(version),
            source=scene.client_addresses[version][0],
            length=50 * MEGABYTE,
        )

    assert [] == [item for item in moved if not item.ok]


def test_nothing_is_lost_while_tables_are_published_and_the_process_is_killed(
    scene: OneService, tmp_path: Path
) -> None:
    """1,000 short sessions and 200 open ones, through ten publications a second and kill -9."""
    path = tmp_path / "r.toml"
    path.write_text(scene.config_text(key=SUM5))
    process = scene.start_balancer(path, "--mode", "native")
    stop = threading.Event()
    killed = 0
    published = 0

    def disturb() -> None:
        nonlocal process, killed, published
        while not stop.is_set():
            for _ in range(15):
                process.send_signal(signal.SIGHUP)
                published += 1
                time.sleep(0.1)
            process.kill()
            killed += 1
            process = scene.start_balancer(path, "--mode", "native")

    sources = scene.client_addresses[4]
    with hold_sessions(scene.clients, scene.web(), sources=sources, sessions=200) as held:
        disturber = threading.Thread(target=disturb)
        disturber.start()
        short: list[Session] = []
        deadline_s = time.monotonic() + patient(40)
        while (len(short) < 1000 or killed < 2) and time.monotonic() < deadline_s:
            short += http_sessions(scene.clients, scene.web(), sources=sources, sessions=250)
        stop.set()
        disturber.join()
        opened = held.stop()
    plan = make_plan(load(path))
    process.terminate()

    assert len(short) >= 1000
    assert killed >= 2
    assert published >= 30
    assert [] == [item for item in short if not item.ok]
    assert 200 == len(opened)
    assert [] == [item for item in opened if not item.ok]
    assert [] == misdirected(plan, [*short, *opened])


def test_the_outcomes_add_up_to_the_packets_of_the_interface(
    scene: OneService, tmp_path: Path
) -> None:
    """What came in on the wire is what the outcomes sum to: nothing twice, nothing not at all."""
    with balancing(scene, tmp_path / "r.toml", scene.config_text(), "--mode", "native"):
        time.sleep(3)  # the segment is asked at the start, and answers
        first, before = status(scene), _received(scene)
        http_sessions(scene.clients, scene.web(), sources=scene.client_addresses[4], sessions=200)
        time.sleep(0.3)
        last, after = status(scene), _received(scene)
    seen = last["seen"]["packets"] - first["seen"]["packets"]

    assert seen > 1000
    assert abs((after - before) - seen) <= 5  # neighbour traffic between the two looks


def _received(scene: OneService) -> int:
    return scene.balancer.netlink(
        lambda ip: int(ip.get_links(ifname="eth0")[0].get("stats64").get("rx_packets"))
    )


def test_a_ping_of_a_vip_is_answered(scene: OneService, tmp_path: Path) -> None:
    """The balancer itself answers, over both families, whatever the servers do."""
    program = (
        "import socket,struct,sys\n"
        "v6 = ':' in sys.argv[1]\n"
        "f, p = (socket.AF_INET6, 58) if v6 else (socket.AF_INET, 1)\n"
        "s = socket.socket(f, socket.SOCK_RAW, p)\n"
        "s.settimeout(3)\n"
        "m = bytearray(struct.pack('!BBHHH', 128 if v6 else 8, 0, 0, 77, 1) + b'x' * 32)\n"
        "t = sum(struct.unpack('!20H', m)); t = (t & 0xffff) + (t >> 16)\n"
        "m[2:4] = struct.pack('!H', ~t & 0xffff)\n"
        "s.sendto(bytes(m), (sys.argv[1], 0))\n"
        "while True:\n"
        "    data, peer = s.recvfrom(2048)\n"
        "    if peer[0] == sys.argv[1]: break\n"
        "print('answered')\n"
    )
    with balancing(scene, tmp_path / "r.toml", scene.config_text()):
        for version in scene.versions:
            done = scene.clients.run([sys.executable, "-c", program, scene.vips[version]])

            assert "answered" == done.stdout.strip()
        outcomes = status(scene)["outcomes"]

    assert len(scene.versions) == outcomes["echo_answered"]["packets"]


def test_a_bad_new_file_is_refused_and_the_old_one_goes_on(
    scene: OneService, tmp_path: Path
) -> None:
    """One sentence, and the next good file is taken."""
    path = tmp_path / "r.toml"
    good = scene.config_text(key=SUM3)
    path.write_text(good)
    process = scene.start_balancer(path)
    path.write_text(good.replace("dst_port", "dst_prt"))
    refused = process.wait_for("warning: new file rejected")
    told = _refusal(scene, lambda found: found is not None)
    sessions = http_sessions(
        scene.clients, scene.web(), sources=scene.client_addresses[4], sessions=50
    )
    plan = make_plan_of(good, tmp_path)
    path.write_text(scene.config_text(key=SUM5))
    process.wait_for("published")
    forgotten = _refusal(scene, lambda found: found is None)
    later = http_sessions(
        scene.clients, scene.web(), sources=scene.client_addresses[4], sessions=50
    )
    process.terminate()

    assert "dst_prt" in refused
    assert told is not None
    assert told["sentence"] in refused
    assert None is forgotten
    assert [] == [item for item in sessions if not item.ok]
    assert [] == misdirected(plan, sessions)
    assert [] == misdirected(make_plan(load(path)), later)


def _refusal(
    scene: OneService, awaited: Callable[[dict[str, str] | None], bool]
) -> dict[str, str] | None:
    """What ``status`` says of a refused file, once it is as awaited: it is noted after the word."""
    deadline_s = time.monotonic() + patient(5)
    while True:
        found: dict[str, str] | None = status(scene)["refused"]
        if awaited(found) or time.monotonic() > deadline_s:
            return found
        time.sleep(0.05)


def make_plan_of(text: str, folder: Path) -> Plan:
    """The plan of a file's text."""
    path = folder / "other.toml"
    path.write_text(text)
    return make_plan(load(path))


def test_a_file_that_needs_another_program_is_taken_without_loss(
    scene: OneService, tmp_path: Path
) -> None:
    """More families, another kind of key, 400 services: a new program in the old link."""
    path = tmp_path / "r.toml"
    small = scene.config_text(key=SUM3).split("[[service]]")
    path.write_text("[[service]]" + small[1])
    process = scene.start_balancer(path, "--mode", "native")
    before = status(scene)
    sources = scene.client_addresses[4]
    with hold_sessions(scene.clients, scene.web(), sources=sources, sessions=100) as held:
        time.sleep(0.5)
        more = "".join(
            "[[service]]"
            + small[2]
            .replace('"echo"', f'"echo-{number}"')
            .replace("port = 7", f"port = {1000 + number}")
            .replace(SUM3, HASH)
            for number in range(400)
        )
        large = f'secret = "{SECRET}"\n' + "[[service]]".join(small) + more
        path.write_text(large)
        process.wait_for("published")
        sessions = http_sessions(scene.clients, scene.web(6), sources=scene.client_addresses[6])
        time.sleep(0.5)
        opened = held.stop()
    after = status(scene)
    process.terminate()

    assert before["program"]["id"] != after["program"]["id"]
    assert 404 == len(after["services"])
    assert [] == [item for item in [*opened, *sessions] if not item.ok]
    assert [] == misdirected(make_plan(load(path)), [*opened, *sessions])
    web = sum(server["packets"] for server in after["services"][0]["servers"])
    assert web >= 2 * sum(item.requests for item in opened)  # counted across the change
