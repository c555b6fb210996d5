"""What a member warns of: it runs, but not as it should."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from remainder.fleet import Part, parts_of
from remainder.kernel import sysctl
from remainder.kernel.host import LinuxHost
from remainder.kernel.netlink import Interface
from remainder.roles.member import Member
from tests.fleets import cluster, fleet

CARD = Interface(
    index=7, name="eth0", mac=bytes(6), mtu=1500, up=True, kind=None, xdp_mode=None,
    xdp_program=None,
)  # fmt: skip
FLOODED = "02:00:5e:52:4d:44"


def member(address: str, **changed: str) -> Part:
    shared = cluster(address=address, **changed)
    (part,) = parts_of(fleet(cluster=[shared], return_path=[]), "r1")
    return part


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose stack takes what is sent to group MAC addresses."""
    monkeypatch.setattr(sysctl, "SETTINGS", tmp_path)
    for version in (4, 6):
        for name in ("all", "eth0", "eth0.7"):
            folder = tmp_path / f"ipv{version}" / "conf" / name
            folder.mkdir(parents=True)
            (folder / sysctl.DROPS).write_text("0\n")
    return tmp_path


@pytest.mark.parametrize(
    ("address", "interface", "setting"),
    [
        ("203.0.113.20", "eth0", "net.ipv4.conf.all.drop_unicast_in_l2_multicast"),
        ("2001:db8:113::20", "eth0", "net.ipv6.conf.eth0.drop_unicast_in_l2_multicast"),
        ("2001:db8:113::20", "eth0.7", "net.ipv6.conf.eth0/7.drop_unicast_in_l2_multicast"),
    ],
)
def test_a_stack_that_takes_group_frames_is_named_with_its_cure(
    address: str, interface: str, setting: str
) -> None:
    (sentence,) = Member().warnings(LinuxHost(), member(address), replace(CARD, name=interface))

    assert sentence.startswith(f"{setting} is 0, so while no program runs here")
    assert sentence.endswith(f"sysctl -w {setting}=1")


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("203.0.113.20", "ipv4/conf/all"),
        ("203.0.113.20", "ipv4/conf/eth0"),
        ("2001:db8:113::20", "ipv6/conf/eth0"),
    ],
)
def test_a_stack_that_drops_them_is_not(settings: Path, address: str, path: str) -> None:
    (settings / path / sysctl.DROPS).write_text("1\n")

    assert [] == list(Member().warnings(LinuxHost(), member(address), CARD))


def test_routers_without_a_shared_address_have_nothing_that_their_stack_would_take() -> None:
    assert [] == list(Member().warnings(LinuxHost(), member("any"), CARD))


def test_a_mac_that_is_no_group_is_a_matter_of_macvlans_alone() -> None:
    part = member("203.0.113.20", mac=FLOODED)

    assert [] == list(Member().warnings(LinuxHost(), part, CARD))

    (sentence,) = Member().warnings(LinuxHost(), part, replace(CARD, kind="macvlan"))

    assert sentence.startswith(f"eth0 is a macvlan, which hears nothing that is sent to {FLOODED};")
