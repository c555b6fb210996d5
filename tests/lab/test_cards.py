"""What a driver can and does: jumbo frames, VLAN tags, frames that it loses."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyroute2 import IPRoute

import remainder_lab as lab
from remainder.errors import HostError
from remainder.kernel import card, libbpf, netlink
from remainder.kernel.attach import attach
from remainder_lab import OneService, http_sessions, transfer
from remainder_lab.pass_all import PASS
from tests.lab.balancing import balancing, misdirected, status
from tests.lab.straight import no_program

pytestmark = [pytest.mark.root, pytest.mark.bpf]

MEGABYTE = 1_000_000
JUMBO = 9_000


@pytest.fixture(scope="module")
def jumbo(_no_leftovers: None) -> Iterator[OneService]:
    """Every wire carries jumbo frames."""
    with lab.one_service(servers=2, clients=20, mtu=JUMBO) as scene:
        scene.start_servers()
        yield scene


@pytest.mark.parametrize("mode", ["native", "generic"])
@pytest.mark.parametrize("version", [4, 6])
def test_jumbo_frames_are_forwarded_and_counted_whole(
    jumbo: OneService, tmp_path: Path, mode: str, version: int
) -> None:
    """An upload in frames of 9,000 bytes, which fill three buffers each."""
    with balancing(jumbo, tmp_path / "r.toml", jumbo.config_text(), "--mode", mode) as plan:
        source = jumbo.client_addresses[version][0]
        moved = transfer(jumbo.clients, jumbo.web(version), source=source, length=20 * MEGABYTE)
        told = status(jumbo)

    forwarded = told["outcomes"]["forwarded"]

    assert mode == told["mode"]
    assert [] == [item for item in moved if not item.ok]
    assert [] == misdirected(plan, list(moved))
    assert forwarded["bytes"] > 20 * MEGABYTE
    if mode == "native":  # generic mode sees the sender's larger pieces
        assert forwarded["packets"] < 20 * MEGABYTE / 1500


def test_the_mtu_may_grow_while_it_runs(jumbo: OneService, tmp_path: Path) -> None:
    """The program takes several buffers at any MTU, and one that counts them follows."""
    _set_mtu(jumbo, 1500)
    try:
        with balancing(jumbo, tmp_path / "r.toml", jumbo.config_text(), "--mode", "native"):
            small = status(jumbo)["published"]
            _set_mtu(jumbo, JUMBO)
            deadline_s = time.monotonic() + 10
            while status(jumbo)["published"] == small and time.monotonic() < deadline_s:
                time.sleep(0.1)
            transfer(
                jumbo.clients,
                jumbo.web(4),
                source=jumbo.client_addresses[4][1],
                length=20 * MEGABYTE,
            )
            told = status(jumbo)["outcomes"]["forwarded"]
    finally:
        _set_mtu(jumbo, JUMBO)

    assert told["bytes"] > 20 * MEGABYTE
    assert told["packets"] < 20 * MEGABYTE / 1500


def _set_mtu(scene: OneService, mtu: int) -> None:
    def inside() -> None:
        with IPRoute() as route:
            (index,) = route.link_lookup(ifname="eth0")
            route.link("set", index=index, mtu=mtu)

    scene.balancer.call(inside)


def test_vlan_tags_stay_in_frames_while_a_native_program_runs(
    scene: OneService, tmp_path: Path
) -> None:
    """And the offload that takes them off is on again afterwards, also after `kill -9`."""
    path = tmp_path / "r.toml"
    path.write_text(scene.config_text())

    def stripped() -> tuple[str, ...]:
        return scene.balancer.call(card.strips_vlan_tags, "eth0")

    before = stripped()
    process = scene.start_balancer(path, "--mode", "native")
    native = stripped()
    process.kill()
    killed = stripped()
    process = scene.start_balancer(path, "--mode", "native")
    process.terminate()
    stopped = stripped()
    process = scene.start_balancer(path, "--mode", "generic")
    generic = stripped()
    process.kill()
    scene.balancer.run([sys.executable, "-m", "remainder", "detach", "--node", scene.node])

    assert before
    assert ((), (), before, before, before) == (native, killed, stopped, generic, stripped())


def test_a_veth_that_loses_all_that_is_sent_back_is_named(tmp_path: Path) -> None:
    """Its peer has no XDP program, so natively forwarded frames vanish in the driver."""
    with lab.one_service(servers=1, clients=4, ipv6=False, pass_all=no_program) as scene:
        scene.start_servers()
        path = tmp_path / "r.toml"
        path.write_text(scene.config_text())
        process = scene.start_balancer(path, "--mode", "native")
        lost = http_sessions(
            scene.clients,
            scene.web(4),
            sources=scene.client_addresses[4],
            sessions=2,
            timeout_s=1.0,
        )
        warned = [line for line in process.lines if "unless an XDP program runs" in line]
        named = process.wait_for("warning: eth0 lost", timeout_s=20)

    assert [] == [item for item in lost if item.ok]
    assert 1 == len(warned)
    assert "of the frames sent back natively" in named


def test_a_driver_without_xdp_runs_generically_and_is_named(scene: OneService) -> None:
    """A bridge has none of its own; asked for native mode alone, it is refused."""

    def inside() -> tuple[str, list[str], str]:
        warnings: list[str] = []
        with IPRoute() as route, libbpf.opened(PASS) as opened:
            route.link("add", ifname="br9", kind="bridge")
            opened.load("pass")
            program_fd = opened.program_fd("pass")
            bridge = netlink.interface("br9")
            with pytest.raises(HostError) as refused:
                attach(program_fd, bridge, "native", warnings.append)
            link_fd, mode = attach(program_fd, bridge, "auto", warnings.append)
            os.close(link_fd)
            os.close(program_fd)
            route.link("del", index=bridge.index)
        return mode, warnings, str(refused.value)

    mode, (warning,), refusal = scene.balancer.call(inside)

    assert "generic" == mode
    assert "runs in generic mode" in warning
    assert "has no XDP of its own" in warning
    assert "has no XDP of its own" in refusal
    assert "--mode generic" in refusal
