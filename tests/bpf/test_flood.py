"""The flood: distinct sources, true checksums, the pace; and the dam that it ends at."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from ipaddress import ip_address, ip_network

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from remainder.flow import Flow
from remainder.kernel import libbpf
from remainder.reference.frame import frame_of
from remainder_bench import flood_programs
from remainder_bench.flood_programs import Dam, Flood, Sender, group_of, syn_of
from tests.bpf.btf import Btf

pytestmark = pytest.mark.bpf

MACS = {"source_mac": b"\x02\0\0\0\0\1", "destination_mac": b"\x02\0\0\0\0\2"}
FLOW = Flow(ip_address("198.18.0.0"), 1024, ip_address("203.0.113.10"), 80, 6)
FRAME = syn_of(FLOW, **MACS)
SOURCES = ip_network("198.18.0.0/15")
NUMBERS = (0, 1, 0xFF, 0x100, 0xFFFF, 0x10000, 0x1FFFF, 0x20000, 123_456_789, (1 << 33) - (1 << 28))


@pytest.fixture
def sender() -> Iterator[Sender]:
    loaded = Sender()
    yield loaded
    loaded.close()


@pytest.fixture
def dam() -> Iterator[Dam]:
    loaded = Dam()
    yield loaded
    loaded.close()


def made(sender: Sender, number: int) -> bytes:
    """What the flood makes of a frame that the last receiver has changed."""
    sender.prepare(FRAME, per_s=1_000_000, first=number)
    verdict, frame = libbpf.test_run(sender.program_fd, b"\xaa" * len(FRAME))

    assert 3 == verdict  # XDP_TX
    return frame[: flood_programs.HEADERS]


def test_the_flood_has_the_layout_of_the_kernel() -> None:
    with libbpf.opened(flood_programs.FLOOD) as opened:
        size, fields = Btf(opened.btf()).layout("flood")

    assert size == ctypes.sizeof(Flood)
    assert fields == [
        (name, getattr(Flood, name).offset, getattr(Flood, name).size)
        for name, *_ in Flood._fields_
    ]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_syn_is_true_whatever_its_source(sender: Sender, number: int) -> None:
    """Scapy computes both checksums anew, and comes to the same."""
    found = Ether(made(sender, number)[:54])
    again = found.copy()
    del again[IP].chksum, again[TCP].chksum
    again = Ether(bytes(again))

    assert "S" == str(found[TCP].flags)
    assert (str(FLOW.dst_ip), FLOW.dst_port) == (found[IP].dst, found[TCP].dport)
    assert ip_address(found[IP].src) in SOURCES
    assert again[IP].chksum == found[IP].chksum
    assert again[TCP].chksum == found[TCP].chksum


def test_no_source_comes_twice(sender: Sender) -> None:
    seen = {(made(sender, number)[26:30], made(sender, number)[34:36]) for number in range(300)}
    far = {(made(sender, number)[26:30], made(sender, number)[34:36]) for number in NUMBERS}

    assert 300 == len(seen)
    assert len(NUMBERS) == len(far)


def test_the_first_of_the_flood_is_the_frame_itself(sender: Sender) -> None:
    assert FRAME[: flood_programs.HEADERS] == made(sender, 0)


def test_only_ipv4_and_tcp_can_flood() -> None:
    with pytest.raises(ValueError, match="not of IPv4 and TCP"):
        syn_of(Flow(FLOW.src_ip, 1, FLOW.dst_ip, 80, 17), **MACS)


@pytest.mark.parametrize(
    ("per_s", "expected"), [(1, 1), (100_000, 4), (400_000, 16), (1_000_000, 32), (10**8, 64)]
)
def test_a_group_is_soon_full_and_a_power_of_two(per_s: int, expected: int) -> None:
    """The kernel waits for a group without letting anybody else run."""
    assert expected == group_of(per_s)


def test_the_dam_counts_the_flood_and_passes_the_rest(dam: Dam) -> None:
    others = [
        frame_of(Flow(ip_address(source), 1024, FLOW.dst_ip, 80, 6), **MACS)
        for source in ("198.17.255.255", "198.20.0.0", "198.51.100.2")
    ]
    strangers = [
        frame_of(Flow(ip_address(source), 1024, FLOW.dst_ip, 80, 6), **MACS)
        for source in ("198.18.0.0", "198.19.255.255")
    ]
    arp = b"\xff" * 6 + b"\x02\0\0\0\0\1" + b"\x08\x06" + FRAME[14:]

    assert [2, 2, 2, 2] == [libbpf.test_run(dam.program_fd, one)[0] for one in [*others, arp]]
    assert 0 == dam.packets()
    assert [1, 1] == [libbpf.test_run(dam.program_fd, one)[0] for one in strangers]
    assert 2 == dam.packets()
