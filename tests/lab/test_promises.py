"""What docs/limits.md and docs/operations.md say of a running balancer, on a real kernel."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pyroute2 import IPRoute

from remainder.kernel import pins
from remainder.observe import state
from remainder.plan import Plan, make_plan
from remainder.sources.file import load
from remainder_lab import (
    OneService,
    Session,
    hold_sessions,
    http_sessions,
    one_service,
)
from remainder_lab.numbering import BALANCER
from remainder_lab.patience import patient
from tests.lab.balancing import status

pytestmark = [pytest.mark.root, pytest.mark.bpf]

SUM5 = "src_ip + src_port + dst_ip + dst_port + protocol"
BPF_MAP_TYPE_ARRAY = 2
BPF_MAP_TYPE_PERCPU_ARRAY = 6
SECRET = "8f1d0c5ab3e27946d1f0a86e35bc9247"


def plan_of(path: Path) -> Plan:
    return make_plan(load(path))


def remainder(scene: OneService, *arguments: str) -> subprocess.CompletedProcess[str]:
    return scene.balancer.run([sys.executable, "-m", "remainder", *arguments])


@contextmanager
def unplugged(scene: OneService, name: str) -> Iterator[None]:
    scene.wires[name].down()
    try:
        yield
    finally:
        scene.wires[name].up()


def to(plan: Plan, sessions: list[Session], server: str) -> set[str]:
    """The clients whose sessions the calculation gives to a server; the key reads no port."""
    return {item.client for item in sessions if plan.where(item.flow).owner == server}


@pytest.mark.parametrize("table", ["modulo", "maglev"])
def test_a_change_of_servers_resets_exactly_the_sessions_that_move(
    scene: OneService, tmp_path: Path, table: str
) -> None:
    """Not one more, not one less, than the two plans say; the new owner answers with a reset."""
    path = tmp_path / "r.toml"
    path.write_text(scene.config_text(key=SUM5, table=table))
    process = scene.start_balancer(path)
    before = plan_of(path)
    with hold_sessions(
        scene.clients,
        scene.web(),
        sources=scene.client_addresses[4],
        sessions=200,
        interval_s=0.2,
    ) as held:
        path.write_text(scene.config_text(key=SUM5, table=table, servers=["s1", "s2", "s3"]))
        process.wait_for("published")
        time.sleep(1)
        sessions = held.stop()
    after = plan_of(path)
    process.terminate()
    moved = {
        item.client
        for item in sessions
        if before.where(item.flow).owner != after.where(item.flow).owner
    }

    assert 200 == len(sessions)
    assert len(moved) > 20
    assert moved == {item.client for item in sessions if not item.ok}
    assert all("Connection reset" in item.errors[0] for item in sessions if not item.ok)


def test_a_dead_server_keeps_its_share_and_its_last_mac(scene: OneService, tmp_path: Path) -> None:
    """Its clients time out, the others notice nothing, and it serves again when it is back."""
    path = tmp_path / "r.toml"
    path.write_text(scene.config_text())
    process = scene.start_balancer(path)
    sources = scene.client_addresses[4]
    with unplugged(scene, "s2"):
        sessions = http_sessions(
            scene.clients, scene.web(), sources=sources, sessions=100, timeout_s=1.0
        )
        looked = status(scene)
    again = http_sessions(scene.clients, scene.web(), sources=sources, sessions=100)
    process.terminate()
    lost = to(plan_of(path), sessions, "s2")
    servers = {server["name"]: server for server in looked["services"][0]["servers"]}

    assert len(lost) > 10
    assert lost == {item.client for item in sessions if not item.ok}
    assert scene.servers["s2"].mac("eth0") == servers["s2"]["mac"]
    assert 0 == looked["outcomes"]["unresolved"]["packets"]
    assert [] == [item for item in again if not item.ok]


def test_an_assigned_vip_is_found_where_no_router_has_a_route(
    scene: OneService, tmp_path: Path
) -> None:
    """The balancer answers ARP and neighbour discovery for it, and the servers do not."""
    path = tmp_path / "r.toml"
    path.write_text(_assigning(scene))
    for version, vip in scene.vips.items():
        scene.router.netlink(_route, vip, version=version, interface="eth0")
    process = scene.start_balancer(path)
    sessions = [
        session
        for version in scene.versions
        for session in http_sessions(
            scene.clients,
            scene.web(version),
            sources=scene.client_addresses[version],
            sessions=50,
        )
    ]
    forwarded = status(scene)["outcomes"]["forwarded"]["packets"]
    process.terminate()
    for version, vip in scene.vips.items():
        scene.router.netlink(_route, vip, version=version, gateway=BALANCER[version])
    plan = plan_of(path)

    assert [] == [item for item in sessions if not item.ok]
    assert [] == [item for item in sessions if plan.where(item.flow).owner != item.server]
    assert forwarded > len(sessions)


def _assigning(scene: OneService) -> str:
    """A file for the scene whose balancer takes the VIPs."""
    return scene.config_text(mode="auto").replace('mode = "auto"', "assign_vips = true")


def _route(
    ip: IPRoute, vip: str, *, version: int, interface: str | None = None, gateway: str | None = None
) -> None:
    """Find the VIP on the segment itself, or by way of a gateway, as before."""
    (index,) = ip.link_lookup(ifname="eth0")
    prefix = f"{vip}/{32 if version == 4 else 128}"
    ip.route("replace", dst=prefix, **({"oif": index} if interface else {"gateway": gateway}))


def test_a_port_of_an_assigned_vip_without_a_service_is_the_balancers_own(
    scene: OneService, tmp_path: Path
) -> None:
    """What listens on every address of the balancer answers at the VIP too."""
    path = tmp_path / "r.toml"
    path.write_text(_assigning(scene))
    listen = (
        "import socket\n"
        "server = socket.create_server(('', 2222))\n"
        "print('ready', flush=True)\n"
        "server.accept()[0].send(b'the balancer itself')\n"
    )
    ask = (
        "import socket, sys\n"
        "with socket.create_connection((sys.argv[1], 2222), 3) as session:\n"
        "    print(session.recv(100).decode())\n"
    )
    process = scene.start_balancer(path)
    listener = scene.balancer.popen([sys.executable, "-c", listen])
    listener.wait_for("ready")
    answer = scene.clients.run([sys.executable, "-c", ask, scene.vips[4]])
    process.terminate()
    listener.terminate()

    assert "the balancer itself" == answer.stdout.strip()


def test_a_new_program_takes_over_and_no_session_notices(scene: OneService, tmp_path: Path) -> None:
    """A file that needs other code, upgrades of the code, of the tables too; all under traffic."""
    path = tmp_path / "r.toml"
    path.write_text(scene.config_text(key=SUM5))
    process = scene.start_balancer(path)
    with hold_sessions(
        scene.clients,
        scene.web(),
        sources=scene.client_addresses[4],
        sessions=200,
        interval_s=0.1,
    ) as held:
        looks = [status(scene)]
        text = scene.config_text(key=SUM5, secret=SECRET)
        udp = text.index('name = "echo"')
        path.write_text(text[:udp] + text[udp:].replace(SUM5, "hash(src_ip)"))
        process.wait_for("published")
        looks.append(status(scene))
        process.kill()
        _seem_older(scene.node)
        process = scene.start_balancer(path)
        time.sleep(0.5)
        looks.append(status(scene))
        process.kill()
        _seem_of_another_build(scene.node)
        looks.append(status(scene))
        process = scene.start_balancer(path)
        time.sleep(0.5)
        looks.append(status(scene))
        sessions = held.stop()
    process.terminate()
    counts = [look["outcomes"]["forwarded"]["packets"] for look in looks]

    assert 4 == len({look["program"]["id"] for look in looks})
    assert [] == [item for item in sessions if not item.ok]
    assert counts[0] > 0
    assert sorted(set(counts)) == counts


def test_the_data_plane_does_not_grow_with_traffic(scene: OneService, tmp_path: Path) -> None:
    """Claim 5: arrays of a size fixed at load, and as much memory after 1,000 sessions."""
    path = tmp_path / "r.toml"
    path.write_text(scene.config_text(key=SUM5))
    process = scene.start_balancer(path)
    before = _maps(scene.node)
    sessions = http_sessions(
        scene.clients, scene.web(), sources=scene.client_addresses[4], sessions=1000
    )
    after = _maps(scene.node)
    process.terminate()

    assert [] == [item for item in sessions if not item.ok]
    assert {"halves", "outcomes", "servers"} <= before.keys()
    assert {BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_PERCPU_ARRAY} == {kind for kind, _ in before.values()}
    assert before == after


def _maps(node: str) -> dict[str, tuple[int, int]]:
    """Name → (enum bpf_map_type, bytes) of every pinned map."""
    attached = pins.find(node)
    assert attached is not None
    found = {
        name: _type_and_bytes(kernel_map.fd) for name, kernel_map in attached.dataplane.maps.items()
    }
    attached.close()
    return found


def _type_and_bytes(fd: int) -> tuple[int, int]:
    lines = Path(f"/proc/self/fdinfo/{fd}").read_text(encoding="ascii").splitlines()
    told = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(told["map_type"]), int(told["memlock"])


def _seem_older(node: str) -> None:
    """As if the notes were those of a version with another program."""
    path = state.path_of(node, "balancer")
    noted = json.loads(path.read_text())
    path.write_text(json.dumps(noted | {"fingerprint_program": "0" * 64}))


def _seem_of_another_build(node: str) -> None:
    """As if its tables stood in other maps, as those of the next build may."""
    _seem_older(node)
    (folder,) = (at for at in pins.folder_of(node).iterdir() if at.name.isdecimal())
    for name in ("halves", "live", "settings"):
        (folder / name).unlink()


def test_a_vanished_interface_is_named_and_waited_for(tmp_path: Path) -> None:
    """And a process without one still ends when it is asked to."""
    path = tmp_path / "r.toml"
    with one_service(servers=1, clients=1, ipv6=False) as scene:
        path.write_text(scene.config_text())
        process = scene.start_balancer(path, "--mode", "native")
        scene.balancer.netlink(_delete, "eth0")
        said = process.wait_for("warning: interface eth0 disappeared")
        looked = status(scene)
        process.terminate()

    assert "waiting for eth0 to come back" in said
    assert not looked["attached"]
    assert 0 == process.poll()


def _delete(ip: IPRoute, interface: str) -> None:
    ip.link("del", index=ip.link_lookup(ifname=interface)[0])


def test_the_shell_of_a_lab_has_the_command() -> None:
    """Wherever it was started from: here by its module, with a PATH of the system alone."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "remainder", "lab", "one-service"),
            *("--exec", "remainder where $REMAINDER_FILE 198.51.100.1:7 203.0.113.10:80"),
        ],
        capture_output=True,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        text=True,
        timeout=patient(60),
        check=False,
    )

    assert 0 == done.returncode, done.stderr
    assert done.stdout.startswith("198.51.100.1:7 → 203.0.113.10:80 tcp  goes to  s")
