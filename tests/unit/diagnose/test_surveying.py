"""Where a segment is asked: on the VLAN's interface, or on the port that frames leave by."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import ip_network

import pytest

from remainder.diagnose.surveying import LinuxSurveyor
from remainder.kernel import neighbours, netlink, packets, routes
from remainder.kernel.netlink import Interface
from tests.unit.diagnose.segment import INTERFACE, FakeSegment, lan, of


@pytest.mark.parametrize(
    ("kind", "asked"), [(None, "eth0"), ("bridge", "eth0"), ("bond", "eth0"), ("vlan", "above0")]
)
def test_the_segment_is_asked_where_its_frames_get_their_tag(
    monkeypatch: pytest.MonkeyPatch, kind: str | None, asked: str
) -> None:
    """Its addresses are always those of the interface that holds them."""
    above = replace(INTERFACE, index=7, name="above0", kind=kind)
    here = INTERFACE if kind is None else replace(INTERFACE, holder=above.index)
    where, opened, read = lan(), list[str](), set[int]()

    @contextmanager
    def fake(interface: Interface) -> Iterator[FakeSegment]:
        opened.append(interface.name)
        yield where.wire()

    def of_segment(index: int) -> frozenset[object]:
        read.add(index)
        return of("192.0.2.2")

    monkeypatch.setattr(netlink, "interface_at", lambda index: {7: above}[index])
    monkeypatch.setattr(netlink, "addresses_on", of_segment)
    monkeypatch.setattr(netlink, "networks_on", lambda _: [ip_network("192.0.2.0/24")])
    monkeypatch.setattr(routes, "gateways_on", lambda _: of("192.0.2.1"))
    monkeypatch.setattr(neighbours, "neighbours", lambda _: {})
    monkeypatch.setattr(packets, "opened", fake)
    place, found = LinuxSurveyor().survey(where.part, here, foreign=True)

    assert [asked] == opened
    assert asked == place.interface.name
    assert {here.segment} == read
    assert 2 == len(found.ponged)
