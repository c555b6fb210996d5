"""Which other MAC addresses of a machine are its balancer's."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import Any, Final

import pytest

from remainder.kernel import abi
from remainder.kernel.links import Link
from remainder.kernel.netlink import Interface
from remainder.kernel.own_macs import OwnMacs, own_macs_of

VIP: Final = ip_address("203.0.113.10")
ETH0: Final = bytes.fromhex("020000000001")
OTHER: Final = bytes.fromhex("020000000002")
VRRP: Final = bytes.fromhex("00005e000133")
HERE: Final = Link(index=2, name="eth0", mac=ETH0)
INTERFACE: Final = Interface(
    index=2, name="eth0", mac=ETH0, mtu=1500, up=True, kind=None, xdp_mode=None, xdp_program=None
)


def other(mac: bytes = OTHER, index: int = 7, **fields: Any) -> Link:
    return Link(index=index, name="other", mac=mac, **fields)


def own(*links: Link, here: Link = HERE, segment: int = 2) -> OwnMacs:
    found = own_macs_of([here, *links], INTERFACE, {VIP}, segment=segment)
    return replace(found, near=frozenset())


def test_what_stands_on_an_interface_or_belongs_to_it_is_near() -> None:
    around = [other(index=5, below=2), other(index=6, master=2), other(index=8, below=5)]

    assert {5, 6} == own_macs_of([HERE, *around], INTERFACE, {VIP}, segment=2).near
    assert {5, 6, 8} == own_macs_of([HERE, *around], INTERFACE, {VIP}, segment=5).near


WITH_VIP: Final[dict[str, Any]] = {"addresses": frozenset({VIP, ip_address("192.0.2.1")})}


def test_a_virtual_address_above_the_interface_is_accepted_while_it_has_a_vip() -> None:
    """keepalived's use_vmac: a standby has the same interface, without the VIP."""
    active = other(VRRP, kind="macvlan", below=2, **WITH_VIP)

    assert OwnMacs((VRRP,), ()) == own(active)
    assert OwnMacs() == own(replace(active, addresses=frozenset()))


def test_a_macvlan_elsewhere_or_without_a_vip_is_not_accepted() -> None:
    macvlan = other(kind="macvlan", below=2)

    assert OwnMacs((), (OTHER,)) == own(macvlan)
    assert OwnMacs((), (OTHER,)) == own(replace(macvlan, below=3, **WITH_VIP))
    assert OwnMacs((), (OTHER,)) == own(replace(macvlan, below=None, **WITH_VIP))
    assert OwnMacs((OTHER,), ()) == own(replace(macvlan, **WITH_VIP))
    assert OwnMacs((), (VRRP,)) == own(replace(macvlan, mac=VRRP, below=3, **WITH_VIP))


@pytest.mark.parametrize(
    ("mode", "accepted"), [(0, False), (1, False), (4, False), (5, True), (6, True)]
)
def test_the_slaves_of_a_bond_that_answers_with_all_of_them_are_accepted(
    mode: int,
    accepted: bool,  # noqa: FBT001
) -> None:
    bond = replace(HERE, kind="bond", bond_mode=mode)
    slave = other(master=2)

    assert (OwnMacs((OTHER,), ()) if accepted else OwnMacs((), (OTHER,))) == own(slave, here=bond)


def test_the_ports_of_a_bridge_are_not_accepted() -> None:
    assert OwnMacs((), (OTHER,)) == own(other(master=2), here=replace(HERE, kind="bridge"))


def test_the_vlan_interface_of_the_segment_is_accepted() -> None:
    vlan = other(kind="vlan", below=2, vlan=5)

    assert OwnMacs((OTHER,), ()) == own(vlan, segment=7)
    assert OwnMacs((), (OTHER,)) == own(vlan)


def test_its_own_address_and_none_are_no_others() -> None:
    assert OwnMacs() == own(other(ETH0), other(bytes(6)), other(b""), other(bytes(20)))


def test_what_finds_no_room_is_what_is_farthest() -> None:
    far = [other(bytes([2, 1, 0, 0, 0, n]), index=10 + n) for n in range(30)]
    near = other(index=50, below=2)
    accepted = other(VRRP, index=60, kind="macvlan", below=2, **WITH_VIP)
    words = own(*far, near, accepted).words

    assert abi.OWN_MACS == len(words)
    assert [abi.raw(VRRP) | 2 << 48, abi.raw(OTHER) | 1 << 48] == words[:2]
    assert [abi.raw(link.mac) | 1 << 48 for link in far[:14]] == words[2:]


def test_unused_room_is_zero() -> None:
    assert [0] * abi.OWN_MACS == OwnMacs().words
