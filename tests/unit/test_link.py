"""What no switch passes on and no kernel takes is refused where it is written."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from remainder.config import Balancer, Cluster, Member, Sender
from remainder.errors import ConfigError
from remainder.link import check_cluster_mac, check_vip, is_interface_name


def cluster(*, address: str = "203.0.113.30", mac: str = "03:00:5e:52:4d:44") -> Cluster:
    return Cluster(
        name="c",
        address=address,
        key="src_ip",
        table="modulo",
        members=[Member(name="m1", interface="eth0")],
        mac=mac,
    )


@pytest.mark.parametrize("name", ["eth0", "a" * 15, "eth0.5", "...", "-", "bond_0", "wg@x"])
def test_a_name_that_linux_gives_is_one(name: str) -> None:
    assert is_interface_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "a" * 16,
        "é" * 8,
        "e/0",
        "eth0:1",
        "eth%d",
        "eth 0",
        "eth0\n",
        "\teth0",
        "e\v0",
    ],
)
def test_a_name_that_linux_gives_to_no_interface_is_refused_wherever_one_stands(name: str) -> None:
    assert not is_interface_name(name)
    for kind in (Balancer, Member, Sender):
        with pytest.raises(ConfigError, match="expected an interface name") as caught:
            kind(name="n1", interface=name)

        assert "interface" == caught.value.where


@pytest.mark.parametrize(
    ("mac", "why"),
    [
        ("00:00:00:00:00:00", "of no machine"),
        ("ff:ff:ff:ff:ff:ff", "broadcast"),
        ("01:80:c2:00:00:00", "reserved"),
        ("01:80:c2:00:00:0f", "reserved"),
    ],
)
def test_a_mac_that_does_not_reach_just_the_members_is_refused(mac: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as caught:
        cluster(mac=mac)

    assert "mac" == caught.value.where


@pytest.mark.parametrize(
    "mac", ["03:00:5e:52:4d:44", "02:00:5e:52:4d:44", "01:80:c2:00:00:10", "01:00:5e:00:00:01"]
)
def test_any_other_mac_is_accepted(mac: str) -> None:
    check_cluster_mac(bytes.fromhex(mac.replace(":", "")), "mac")

    assert mac == cluster(mac=mac).mac.hex(":")


@pytest.mark.parametrize("address", ["fe80::1", "fe80::", "febf:ffff::1"])
def test_an_address_that_no_router_forwards_to_is_no_vip(address: str) -> None:
    with pytest.raises(ConfigError, match="link-local"):
        check_vip(ip_address(address), "vip")
    with pytest.raises(ConfigError, match="link-local"):
        cluster(address=address)


@pytest.mark.parametrize("address", ["fec0::1", "fd00::1", "2001:db8::1", "203.0.113.10"])
def test_an_address_that_routers_forward_to_may_be_a_vip(address: str) -> None:
    check_vip(ip_address(address), "vip")
