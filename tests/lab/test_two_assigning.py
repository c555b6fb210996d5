"""Two balancers that both assign the VIPs, without keepalived: either may be stopped as planned."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from remainder.flow import Address
from remainder.kernel import neighbours, netlink
from remainder_lab import StandbyPair, standby_pair
from remainder_lab.heartbeat import Heartbeat
from remainder_lab.patience import patient

pytestmark = [pytest.mark.root, pytest.mark.bpf]


@pytest.fixture(scope="module")
def scene() -> Iterator[StandbyPair]:
    """Clients, router, two balancers and two servers; nobody says who is active."""
    with standby_pair(servers=2, clients=4) as built:
        built.start_servers()
        yield built


def text_of(scene: StandbyPair) -> str:
    text = re.sub(r"\[vrrp\]\n.*\n.*\n", "", scene.config_text())
    return text.replace('interface = "eth0"\n', 'interface = "eth0"\nassign_vips = true\n')


def taken_for(scene: StandbyPair) -> dict[str, str | None]:
    """VIP → the balancer at whose MAC the router believes it is."""
    names = {bytes.fromhex(host.mac("eth0").replace(":", "")): name
             for name, host in scene.nodes.items()}  # fmt: skip
    found = scene.router.call(_neighbours)
    return {
        vip: names.get(found[ip_address(vip)].mac or b"") if ip_address(vip) in found else None
        for vip in scene.vips.values()
    }


def _neighbours() -> dict[Address, neighbours.Neighbour]:
    return neighbours.neighbours(netlink.interface("eth0").index)


def test_a_planned_stop_of_either_costs_less_than_a_second(
    scene: StandbyPair, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a word of the other: the one that goes says where the VIPs are now."""
    path = tmp_path / "r.toml"
    path.write_text(text_of(scene))
    scene.start_nodes(path)
    first, second = scene.nodes
    outages: list[dict[int, float]] = []
    with Heartbeat(scene.clients, {v: scene.echo(v) for v in scene.versions}) as heart:
        for goes, stays in ((first, second), (second, first)):
            time.sleep(4)  # all that is announced at a start has been
            begun_s = time.monotonic()
            process = scene.running(goes)
            process.send_signal(signal.SIGTERM)
            process.wait(10)
            assert dict.fromkeys(scene.vips.values(), stays) == taken_for(scene)
            outages.append(heart.interruptions_s(begun_s, time.monotonic() + 0.5))
            scene.launch_balancer(goes, path).wait_for("ready")
    with capsys.disabled():
        print(f"\noutages {[{v: f'{s:.3f} s' for v, s in one.items()} for one in outages]}")

    assert max(s for one in outages for s in one.values()) < patient(1.0)


def test_the_last_one_to_go_waits_for_nobody(scene: StandbyPair, tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text(text_of(scene))
    for process in scene.balancers:
        process.terminate()
    alone = scene.launch_balancer(next(iter(scene.nodes)), path)
    alone.wait_for("ready")
    begun_s = time.monotonic()
    alone.send_signal(signal.SIGTERM)
    alone.wait(10)

    assert time.monotonic() - begun_s < patient(2.0)
    assert not any("Traceback" in line for line in alone.lines)
