"""What keepalived.conf says for a file, and which files cannot have one (claims 15, 16)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest
from msgspec.structs import replace

from remainder.config import Balancer, Config, Vrrp
from remainder.errors import ConfigError
from remainder.redundancy.keepalived import (
    MOST_ADVERTISED,
    MOST_BALANCERS,
    Standby,
    plain,
    render,
    standby,
)
from tests.fleets import service

LINK = PurePosixPath("/sys/fs/bpf/remainder/lb1/balancer/link")


PAIR = Config(
    vrrp=Vrrp(router_id=51, advert_interval_s=0.1),
    balancer=[Balancer(name="lb1", interface="eth0"), Balancer(name="lb2", interface="ens3")],
    service=[
        service(name="web", vip="203.0.113.10"),
        service(name="dns", vip="203.0.113.10"),
        service(name="mail", vip="203.0.113.20"),
        service(name="web6", vip="2001:db8:113::10"),
    ],
)

FIRST = """\
# Node lb1, number 1; written by `remainder keepalived`.
# It takes over when no better one has been heard for 0.302 s.

global_defs {
    router_id lb1
    script_user root
    enable_script_security
}

# Only a balancer with a data plane may be active.
vrrp_script data_plane {
    script "/usr/bin/test -e /sys/fs/bpf/remainder/lb1/balancer/link"
    interval 1
    timeout 1
    rise 1
    fall 1
    init_fail
}

# Both address families go together.
vrrp_sync_group remainder {
    group {
        remainder_ipv4
        remainder_ipv6
    }
}

vrrp_instance remainder_ipv4 {
    version 3
    state BACKUP
    # keepalived watches its state as well.
    interface eth0
    virtual_router_id 51
    priority 250
    advert_int 0.1
    # When two were active, the better one must tell the segment again.
    higher_prio_send_advert true
    # A packet to a VIP that the data plane leaves is no business of this host: without
    # this, it would answer with a reset where the data plane is gone.
    no_accept
    track_script {
        data_plane
    }
    virtual_ipaddress {
        203.0.113.10/32
        203.0.113.20/32
    }
}

vrrp_instance remainder_ipv6 {
    version 3
    state BACKUP
    # keepalived watches its state as well.
    interface eth0
    virtual_router_id 51
    priority 250
    advert_int 0.1
    # When two were active, the better one must tell the segment again.
    higher_prio_send_advert true
    # A packet to a VIP that the data plane leaves is no business of this host: without
    # this, it would answer with a reset where the data plane is gone.
    no_accept
    track_script {
        data_plane
    }
    virtual_ipaddress {
        fe80::200:5eff:fe00:233/128
        2001:db8:113::10/128
    }
}
"""


def of(config: Config, node: str = "lb1") -> Standby:
    return standby(config, node, data_plane=LINK)


def test_the_whole_text_for_the_first_balancer() -> None:
    assert FIRST == render(of(PAIR))


def test_the_second_differs_in_its_name_its_interface_and_its_priority() -> None:
    first, second = render(of(PAIR)).splitlines(), render(of(PAIR, "lb2")).splitlines()
    differing = [pair for pair in zip(first, second, strict=True) if pair[0] != pair[1]]

    assert [
        "# Node lb2, number 2; written by `remainder keepalived`.",
        "# It takes over when no better one has been heard for 0.306 s.",
        "    router_id lb2",
        "    interface ens3",
        "    priority 240",
        "    interface ens3",
        "    priority 240",
    ] == [line for _, line in differing]


def test_the_order_of_the_file_is_the_order_of_preference() -> None:
    many = [Balancer(name=f"lb{number}", interface="eth0") for number in range(MOST_BALANCERS)]
    parts = [of(replace(PAIR, balancer=many), balancer.name) for balancer in many]

    assert [part.priority for part in parts] == sorted(
        {part.priority for part in parts}, reverse=True
    )
    assert all(1 <= part.priority <= 254 for part in parts)


@pytest.mark.parametrize(
    ("priority_place", "interval_s", "takeover_s"),
    [(0, 1.0, 3 + 6 / 256), (1, 1.0, 3 + 16 / 256), (1, 0.1, 0.3 + 1.6 / 256)],
)
def test_the_silence_before_a_takeover_is_that_of_the_rfc(
    priority_place: int, interval_s: float, takeover_s: float
) -> None:
    """RFC 9568: three intervals, and 256 - priority 256ths of one."""
    node = PAIR.balancer[priority_place].name
    part = of(replace(PAIR, vrrp=Vrrp(router_id=51, advert_interval_s=interval_s)), node)

    assert pytest.approx(takeover_s) == part.takeover_s


@pytest.mark.parametrize("version", [4, 6])
def test_one_address_family_alone_needs_no_group(version: int) -> None:
    services = [one for one in PAIR.service if one.vip.version == version]
    text = render(of(replace(PAIR, service=services)))

    assert "vrrp_sync_group" not in text
    assert 1 == text.count("vrrp_instance")


def test_many_vips_are_all_held_but_only_some_advertised() -> None:
    services = [service(name=f"w{number}", vip=f"203.0.113.{number}") for number in range(1, 101)]
    (instance,) = of(replace(PAIR, service=services)).instances

    assert MOST_ADVERTISED == len(instance.advertised)
    assert [f"203.0.113.{number}/32" for number in range(1, 101)] == [
        *instance.advertised,
        *instance.excluded,
    ]
    assert "virtual_ipaddress_excluded" in render(of(replace(PAIR, service=services)))


def test_programs_get_the_same() -> None:
    said = plain(of(PAIR, "lb2"))

    assert said == json.loads(json.dumps(said))
    assert ("lb2", 1, 240, "ens3") == tuple(
        said[name] for name in ("node", "place", "priority", "interface")
    )
    assert str(LINK) == said["data_plane"]


def one_assigns() -> Config:
    second = replace(PAIR.balancer[1], assign_vips=True)
    return replace(PAIR, balancer=[PAIR.balancer[0], second])


def too_many() -> Config:
    many = [Balancer(name=f"lb{number}", interface="e0") for number in range(MOST_BALANCERS + 1)]
    return replace(PAIR, balancer=many)


WRONG = {
    "vrrp: 'vrrp' is missing": replace(PAIR, vrrp=None),
    "balancer: no node is named 'lb1', the file has lb2": replace(
        PAIR, balancer=[PAIR.balancer[1], replace(PAIR.balancer[1], name="lb3")]
    ),
    "balancer: 1 [[balancer]] came, standing by takes two": replace(
        PAIR, balancer=PAIR.balancer[:1]
    ),
    "balancer: 0 [[balancer]] came, standing by takes two": replace(PAIR, balancer=[]),
    "balancer: 26 came, 25 can stand by": too_many(),
    "balancer[1].assign_vips: true came, but with [vrrp]": one_assigns(),
    "balancer[0].interface: 'eth 0' is no name": replace(
        PAIR, balancer=[replace(PAIR.balancer[0], interface="eth 0"), PAIR.balancer[1]]
    ),
    "vrrp.advert_interval_s: 0.015 came, VRRP counts in hundredths": replace(
        PAIR, vrrp=Vrrp(router_id=51, advert_interval_s=0.015)
    ),
    "service: there is no VIP to stand by for": replace(PAIR, service=[]),
}


@pytest.mark.parametrize("sentence", WRONG)
def test_a_mistake_is_one_sentence(sentence: str) -> None:
    node = "lb0" if sentence.startswith("balancer: 26") else "lb1"
    with pytest.raises(ConfigError) as refused:
        of(WRONG[sentence], node)

    assert str(refused.value).startswith(sentence)
    assert "\n" not in str(refused.value)


FILE = """
[vrrp]
router_id = 51

[[balancer]]
name = "lb1"
interface = "eth0"

[[balancer]]
name = "lb2"
interface = "eth0"

[[service]]
name = "web"
vip = "203.0.113.10"
port = 80
protocol = "tcp"
key = "src_ip + dst_ip + dst_port"
table = "modulo"
servers = [{ name = "s1", address = "192.0.2.11" }]
"""


def remainder(*arguments: str, path: str = "/usr/bin:/bin") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "remainder", *arguments],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(Path(__file__).parents[3] / "src"), "PATH": path},
        check=False,
    )


def test_the_command_prints_the_file_and_json(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text(FILE)
    text = remainder("keepalived", str(path), "--node", "lb2")
    told = remainder("keepalived", str(path), "--node", "lb2", "--json")

    assert 0 == text.returncode, text.stderr
    assert "/sys/fs/bpf/remainder/lb2/balancer/link" in text.stdout
    assert 240 == json.loads(told.stdout)["priority"]


def test_the_command_says_one_sentence_for_a_wrong_node(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text(FILE)
    done = remainder("keepalived", str(path), "--node", "lb9")

    assert (2, "") == (done.returncode, done.stdout)
    assert (
        "remainder: balancer: no node is named 'lb9', the file has lb1, lb2; say which with "
        in (done.stderr)
    )
    assert 1 == done.stderr.count("\n")
