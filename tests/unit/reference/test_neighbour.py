"""Who asks for a shared address is told the cluster's MAC address."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest
from scapy.layers.inet6 import (
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
)
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet

from remainder.reference.neighbour import told_neighbour

OWN, CLUSTER, ASKER = "02:00:00:00:00:01", "03:00:5e:52:4d:44", "02:00:00:00:00:99"
SHARED = frozenset(map(ip_address, ("203.0.113.20", "2001:db8:113::20")))


def told(frame: Packet) -> Packet | None:
    """The answer, as scapy reads it."""
    answer = told_neighbour(
        bytes(frame),
        mac=bytes.fromhex(OWN.replace(":", "")),
        cluster_mac=bytes.fromhex(CLUSTER.replace(":", "")),
        shared=SHARED,
    )
    return Ether(answer) if answer else None


def arp(**changed: Any) -> Packet:
    request: dict[str, Any] = {"op": 1, "hwsrc": ASKER, "psrc": "192.0.2.1", "pdst": "203.0.113.20"}
    return Ether(dst="ff:ff:ff:ff:ff:ff", src=ASKER) / ARP(**request | changed)


def solicitation(target: str = "2001:db8:113::20", **ip: Any) -> Packet:
    header: dict[str, Any] = {"src": "2001:db8:2::1", "dst": "ff02::1:ff00:20", "hlim": 255} | ip
    question = ICMPv6ND_NS(tgt=target) / ICMPv6NDOptSrcLLAddr(lladdr=ASKER)
    return Ether(dst="33:33:ff:00:00:20", src=ASKER) / IPv6(**header) / question


def test_an_arp_request_becomes_its_reply() -> None:
    answer = told(arp())
    wanted = Ether(dst=ASKER, src=OWN) / ARP(
        op=2, hwsrc=CLUSTER, psrc="203.0.113.20", hwdst=ASKER, pdst="192.0.2.1"
    )

    assert bytes(wanted) == bytes(answer or b"")


def test_a_solicitation_becomes_its_advertisement() -> None:
    answer = told(solicitation())
    wanted = (
        Ether(dst=ASKER, src=OWN)
        / IPv6(src="2001:db8:113::20", dst="2001:db8:2::1", hlim=255)
        / ICMPv6ND_NA(tgt="2001:db8:113::20", R=0, S=1, O=1)
        / ICMPv6NDOptDstLLAddr(lladdr=CLUSTER)
    )

    assert bytes(wanted) == bytes(answer or b"")


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(arp(pdst="203.0.113.21"), id="another address"),
        pytest.param(arp(op=2), id="a reply"),
        pytest.param(arp(hwtype=6), id="another hardware"),
        pytest.param(solicitation("2001:db8:113::21"), id="another IPv6 address"),
        pytest.param(solicitation(hlim=254), id="from behind a router"),
        pytest.param(solicitation(src="::"), id="a search for a free address"),
    ],
)
def test_other_questions_are_left_to_the_stack(frame: Packet) -> None:
    assert told(frame) is None
