"""Frames are understood or left alone, whatever comes."""

from __future__ import annotations

from ipaddress import ip_address

from hypothesis import example, given
from hypothesis import strategies as st

from remainder.diagnose.frames import (
    Expired,
    Ponged,
    Told,
    Understood,
    Wondered,
    ping,
    understood,
    who_has,
)
from tests.unit.diagnose.segment import OWN_MAC, VIPS, lan, mac

VIP4, VIP6 = ip_address(VIPS[4]), ip_address(VIPS[6])
OWN4, OWN6 = ip_address("192.0.2.2"), ip_address("2001:db8:2::2")
KINDS = [b"\x08\x06", b"\x08\x00", b"\x86\xdd"]


@given(st.sampled_from(KINDS), st.binary(min_size=12, max_size=12), st.binary(max_size=120))
@example(KINDS[1], bytes(12), b"\x4f" + bytes(60))
def test_any_frame_is_understood_or_left_alone(kind: bytes, macs: bytes, rest: bytes) -> None:
    assert isinstance(understood(macs + kind + rest), Understood | None)


@given(st.integers(0, 90), st.sampled_from([4, 6]))
def test_an_answer_cut_short_is_left_alone(length: int, version: int) -> None:
    where = lan(version=version)
    wire = where.wire()
    vip = {4: VIP4, 6: VIP6}[version]
    own = next(iter(where.place.own))
    wire.send(ping(vip, source=own, identifier=7, mac=OWN_MAC, server_mac=mac(1)))
    frame = wire.heard(0)
    assert frame is not None
    whole = understood(frame)

    assert Ponged(vip, mac(1), 7) == whole
    assert understood(frame[:length]) in (None, whole)


def test_what_we_ask_is_understood_by_others() -> None:
    assert Wondered(VIP4, OWN_MAC) == understood(who_has(VIP4, mac=OWN_MAC, own=OWN4))
    assert Wondered(VIP4, OWN_MAC) == understood(who_has(VIP4, mac=OWN_MAC, own=None))
    assert Wondered(VIP6, OWN_MAC) == understood(who_has(VIP6, mac=OWN_MAC, own=OWN6))


def test_a_gratuitous_arp_is_no_answer_but_a_question() -> None:
    """Of a balancer that takes the VIP over, for instance: it is not an answer to us."""
    frame = who_has(VIP4, mac=mac(9), own=VIP4)

    assert Wondered(VIP4, mac(9)) == understood(frame)
    assert not isinstance(understood(frame), Told | Expired)
