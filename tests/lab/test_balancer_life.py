"""The life of a balancer's process: what stops it from starting, and what it leaves behind."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pyroute2 import IPRoute

from remainder.kernel import netlink
from remainder_lab import (
    OneService,
    http_sessions,
)
from remainder_lab.host import python_module
from remainder_lab.patience import patient
from tests.lab.balancing import balancing, status

pytestmark = [pytest.mark.root, pytest.mark.bpf]


def test_a_stopped_balancer_leaves_nothing_behind(scene: OneService, tmp_path: Path) -> None:
    """No program, no pins, no notes, no lock; packets go up the stack again."""
    with balancing(scene, tmp_path / "r.toml", scene.config_text()):
        pass

    assert not Path(f"/sys/fs/bpf/remainder/{scene.node}").exists()
    assert [] == list(Path("/run/remainder").glob(f"{scene.node}[@.]*"))
    assert None is scene.balancer.call(_attached)


def test_a_start_that_fails_leaves_nothing_behind(scene: OneService, tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text(scene.config_text())
    done = scene.balancer.run(
        python_module(
            *("remainder", "run", str(path)), *("--interface", "eth9", "--node", scene.node)
        )
    )

    assert 1 == done.returncode
    assert "eth9" in done.stderr
    assert not Path(f"/sys/fs/bpf/remainder/{scene.node}").exists()
    assert [] == list(Path("/run/remainder").glob(f"{scene.node}[@.]*"))


def _attached() -> int | None:
    return netlink.interface("eth0").xdp_program


def test_kept_data_planes_go_on_until_they_are_detached(scene: OneService, tmp_path: Path) -> None:
    """``--keep`` leaves the data plane alone with the packets; ``detach`` stops it."""
    with balancing(scene, tmp_path / "r.toml", scene.config_text(), "--keep"):
        pass
    sessions = http_sessions(
        scene.clients, scene.web(), sources=scene.client_addresses[4], sessions=20
    )
    alone = status(scene)
    scene.balancer.run([sys.executable, "-m", "remainder", "detach", "--node", scene.node])

    assert [] == [item for item in sessions if not item.ok]
    assert alone["process"] is None
    assert None is scene.balancer.call(_attached)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--interface", "eth9"], "no interface named 'eth9' on this host"),
        (["--interface", "lo"], "lo carries no Ethernet frames"),
        (["--interface", "eth0", "--node", "a b"], "'a b' is not a node name"),
    ],
)
def test_a_first_runs_mistakes_get_one_sentence(
    scene: OneService, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    """What, and what to do next; nothing is attached."""
    path = tmp_path / "r.toml"
    path.write_text(scene.config_text())
    complaint = _fails(scene, ["run", str(path), *arguments])

    assert sentence in complaint
    assert None is scene.balancer.call(_attached)


def _fails(scene: OneService, arguments: list[str]) -> str:
    """Run a command that must fail with one sentence on stderr."""
    done = subprocess.run(
        scene.balancer.inside([sys.executable, "-m", "remainder", *arguments]),
        capture_output=True,
        text=True,
        timeout=patient(30),
        check=False,
    )

    assert done.returncode in (1, 2), done.stderr
    assert "Traceback" not in done.stderr
    assert 1 == len(done.stderr.strip().splitlines())
    assert done.stderr.startswith("remainder: ")
    return done.stderr


def test_another_xdp_program_is_named_and_left_alone(scene: OneService, tmp_path: Path) -> None:
    """A second balancer on the interface is refused, and the first goes on."""
    path = tmp_path / "r.toml"
    with balancing(scene, path, scene.config_text()):
        complaint = _fails(scene, ["run", str(path), "--interface", "eth0", "--node", "other"])
        again = _fails(scene, ["run", str(path), "--interface", "eth0", "--node", scene.node])
        sessions = http_sessions(
            scene.clients, scene.web(), sources=scene.client_addresses[4], sessions=20
        )

    assert re.search(r"eth0 already runs another XDP program \(id \d+", complaint)
    assert "is already run by process" in again
    assert [] == [item for item in sessions if not item.ok]


def test_servers_that_cannot_serve_are_named(scene: OneService, tmp_path: Path) -> None:
    """One that answers no ARP, and one that lacks the VIP; one that comes later, too, and once."""
    text = scene.config_text(servers=["s1"]).replace("192.0.2.11", "192.0.2.99", 1)
    path = tmp_path / "r.toml"
    path.write_text(text)
    process = scene.start_balancer(path)
    unreachable = process.wait_for("warning: server 's1' of service 'web' does not answer ARP")
    process.terminate()
    vip = f"{scene.vips[4]}/32"
    path.write_text(scene.config_text(servers=["s1"]))
    scene.servers["s1"].netlink(_address, "del", vip)
    process = scene.start_balancer(path)
    without_vip = process.wait_for("warning: server 's1' of service 'web' (192.0.2.11) does not")
    process.terminate()
    scene.servers["s1"].netlink(_address, "add", vip)

    path.write_text(scene.config_text(servers=["s2"]))
    scene.servers["s1"].netlink(_address, "del", vip)
    process = scene.start_balancer(path)
    time.sleep(1)  # the servers of the start are asked
    path.write_text(scene.config_text(servers=["s1", "s2"]))
    added = process.wait_for("warning: server 's1' of service 'web' (192.0.2.11) does not")
    process.send_signal(signal.SIGHUP)
    time.sleep(1)
    process.terminate()
    again = [line for line in process.lines if "does not answer a ping" in line]
    scene.servers["s1"].netlink(_address, "add", vip)

    assert without_vip == added
    assert [added] == again
    assert "192.0.2.99" in unreachable
    assert f"ip addr add {vip} dev lo" in without_vip


def _address(ip: IPRoute, verb: str, address: str) -> None:
    (loopback,) = ip.link_lookup(ifname="lo")
    ip.addr(verb, index=loopback, address=address.split("/", maxsplit=1)[0], prefixlen=32)
