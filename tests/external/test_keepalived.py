"""Two balancers and real keepalived: the second works only while the first cannot (15, 16)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from remainder.errors import HostError
from remainder_lab import StandbyPair, http_sessions, remove_leftovers, standby_pair, tools
from remainder_lab.acts_standby import DEATHS, HELD_SESSIONS, show_takeover

pytestmark = [pytest.mark.root, pytest.mark.bpf]

SUM5 = "src_ip + src_port + dst_ip + dst_port + protocol"
LONGEST_S = {
    "silent": 1.0,
    "cable": 1.0,
    "sigterm": 0.1,
    "sigkill": 0.1,
    "data-plane": 3.0,
    "detached": 3.0,
}
"""Far from what is measured, so that a busy machine does not fail; the numbers are printed."""


@pytest.fixture(scope="module")
def keepalived() -> str:
    try:
        return tools.find("keepalived")
    except HostError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("standby") / "r.toml"


@pytest.fixture(scope="module")
def scene(keepalived: str, file: Path) -> Iterator[StandbyPair]:
    """Clients, router, two balancers with keepalived, and four servers; the first is active."""
    remove_leftovers()
    with standby_pair() as built:
        built.start_servers()
        file.write_text(built.config_text(key=SUM5, mode="native"))
        built.start_balancer(file)
        yield built


@pytest.mark.parametrize("death", DEATHS)
def test_a_takeover_and_the_way_back_break_no_session(
    scene: StandbyPair, file: Path, death: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """200 TCP sessions over both IP versions; at each time one balancer alone forwards."""
    shown = show_takeover(scene, file, DEATHS[death])
    with capsys.disabled():
        print(
            f"\n{shown.death.title}: {len(shown.broken)} of {shown.held} sessions broken; "
            f"away for {_ms(shown.dead.interruptions_s)}, on the way back "
            f"{_ms(shown.back.interruptions_s)}; "
            f"longest wait in a session {shown.longest_wait_s * 1000:.0f} ms"
        )

    assert HELD_SESSIONS == shown.held
    assert () == shown.broken
    assert shown.requests > 3 * HELD_SESSIONS
    for phase, active, idle in (
        (shown.before, "lb1", "lb2"),
        (shown.dead, "lb2", "lb1"),
        (shown.back, "lb1", "lb2"),
    ):
        assert phase.forwarded[active] > 0
        assert 0 == phase.forwarded[idle]
    assert max(shown.dead.interruptions_s.values()) < LONGEST_S[death]
    assert max(shown.back.interruptions_s.values()) < LONGEST_S["silent"]


def _ms(interruptions_s: Mapping[int, float]) -> str:
    return " and ".join(
        f"{seconds * 1000:.0f} ms (IPv{version})" for version, seconds in interruptions_s.items()
    )


def test_the_active_balancer_alone_answers_for_the_vips(scene: StandbyPair) -> None:
    """ARP and neighbour discovery, though no packet to a VIP may enter its own stack."""
    scene.router.netlink(_forget, set(scene.vips.values()))
    for version in scene.versions:
        sessions = http_sessions(
            scene.clients, scene.web(version), sources=scene.client_addresses[version][:5]
        )

        assert [] == [session for session in sessions if not session.ok]
    found = scene.router.netlink(_macs_of, set(scene.vips.values()))

    assert dict.fromkeys(scene.vips.values(), scene.nodes["lb1"].mac("eth0")) == found


def _forget(ip: Any, addresses: set[str]) -> None:
    for neighbour in ip.get_neighbours():
        if neighbour.get_attr("NDA_DST") in addresses:
            ip.neigh("del", dst=neighbour.get_attr("NDA_DST"), ifindex=neighbour["ifindex"])


def _macs_of(ip: Any, addresses: set[str]) -> dict[str, str]:
    return {
        neighbour.get_attr("NDA_DST"): neighbour.get_attr("NDA_LLADDR")
        for neighbour in ip.get_neighbours()
        if neighbour.get_attr("NDA_DST") in addresses
    }


def only_ipv4(text: str) -> str:
    return text[: text.index('[[service]]\nname = "web6"')]


def only_ipv6(text: str) -> str:
    return text[: text.index("[[service]]")] + text[text.index('[[service]]\nname = "web6"') :]


def many_vips(text: str) -> str:
    service = text[text.index("[[service]]") : text.index('[[service]]\nname = "echo"')]
    return text[: text.index("[[service]]")] + "".join(
        service.replace('"web"', f'"web{number}"').replace("203.0.113.10", f"203.0.113.{number}")
        for number in range(1, 101)
    )


@pytest.mark.parametrize("change", [str, only_ipv4, only_ipv6, many_vips], ids=lambda f: f.__name__)
def test_keepalived_accepts_what_is_written_for_it(
    scene: StandbyPair, keepalived: str, tmp_path: Path, change: Callable[[str], str]
) -> None:
    """By its own check, without a word of complaint."""
    path, conf = tmp_path / "r.toml", tmp_path / "keepalived.conf"
    path.write_text(change(scene.config_text(mode="native")))
    for name in scene.nodes:
        conf.write_text(scene.keepalived_conf(name, path))
        checked = scene.nodes[name].run([keepalived, "-t", f"-f{conf}"])

        assert (0, "", "") == (checked.returncode, checked.stdout, checked.stderr)
