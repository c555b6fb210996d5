"""A running balancer follows its file: also when the host is not ready for it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyroute2 import IPRoute

from remainder.roles.segment import RESOLVE_S
from remainder_lab import OneService, one_service
from remainder_lab.host import python_module
from remainder_lab.patience import patient

pytestmark = [pytest.mark.root, pytest.mark.bpf]


@pytest.fixture
def scene() -> Iterator[OneService]:
    """Clients, router, balancer and two servers, over IPv4."""
    with one_service(servers=2, clients=1, ipv6=False) as built:
        yield built


def test_a_file_that_the_host_stands_against_is_taken_when_it_no_longer_does(
    scene: OneService, tmp_path: Path
) -> None:
    """The link was down when the file was saved; nobody has to save it again."""
    path = tmp_path / "r.toml"
    path.write_text(scene.config_text())
    process = scene.start_balancer(path)
    scene.balancer.netlink(_set_link, "down")
    process.wait_for("warning: eth0 is down")
    path.write_text(scene.config_text(table="maglev"))
    refused = process.wait_for("warning: new file rejected")
    scene.balancer.netlink(_set_link, "up")
    process.wait_for("published")
    (looked,) = json.loads(
        scene.balancer.run(
            python_module("remainder", "status", "--node", scene.node, "--json")
        ).stdout
    )["nodes"]
    process.terminate()

    assert "no route" in refused
    assert looked["refused"] is None
    assert {"maglev"} == {service["table"] for service in looked["services"]}
    assert 1 == sum("new file rejected" in line for line in process.lines)


def _set_link(ip: IPRoute, state: str) -> None:
    (index,) = ip.link_lookup(ifname="eth0")
    ip.link("set", index=index, state=state)


def test_a_dead_server_delays_the_first_file_that_names_it_and_no_other(
    scene: OneService, tmp_path: Path
) -> None:
    """Else whoever takes it out of the file would wait for it once more."""
    path = tmp_path / "r.toml"
    text = scene.config_text(servers=["s1", "s2"])
    dead = text.replace("192.0.2.12", "192.0.2.99")
    path.write_text(dead)
    process = scene.start_balancer(path)
    begun_s = time.monotonic()
    path.write_text(dead.replace('"modulo"', '"maglev"'))
    process.wait_for("published")
    took_s = time.monotonic() - begun_s
    process.terminate()

    assert took_s < RESOLVE_S


def test_only_another_interface_than_the_one_in_use_is_warned_of(
    scene: OneService, tmp_path: Path
) -> None:
    """There, and back again: what runs is on the first one all the time."""
    path = tmp_path / "r.toml"
    sections = scene.balancer_sections("auto")
    text = "\n".join([*sections, scene.config_text()])
    path.write_text(text)
    node = scene.balancer.popen(
        python_module("remainder", "run", str(path), "--node", scene.node), title="the balancer"
    )
    scene.balancers.append(node)
    node.wait_for("ready")
    for number, interface in ((2, "eth9"), (3, "eth0")):
        path.write_text(text.replace('"eth0"', f'"{interface}"'))
        until_s = time.monotonic() + patient(10)
        while f"publication {number})" not in node.lines[-1] and time.monotonic() < until_s:
            time.sleep(0.05)
    node.terminate()

    assert 1 == sum("changed interface or mode" in line for line in node.lines)
