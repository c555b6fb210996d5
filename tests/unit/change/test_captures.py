"""Sessions of a capture: pcap and pcapng, Ethernet, raw IP and Linux cooked."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

import pytest
from scapy.layers.l2 import Ether
from scapy.utils import PcapNgWriter, PcapWriter

from remainder.change.captures import LINKS, read_capture
from remainder.errors import ConfigError, Unsupported
from remainder.flow import Flow, parse_flow
from remainder.reference import frame_of

VIPS = {ip_address("203.0.113.10"), ip_address("2001:db8::10")}
V4 = parse_flow("198.51.100.7:1234", "203.0.113.10:80")
V6 = parse_flow("[2001:db8::7]:5", "[2001:db8::10]:443", "udp")
OTHER = parse_flow("198.51.100.7:1234", "203.0.113.99:80")


def frame(flow: Flow) -> bytes:
    return frame_of(flow, source_mac="02:00:5e:00:53:01", destination_mac="02:00:5e:00:53:02")


FRAMES = [frame(V4), frame(V4.reversed()), frame(V4), frame(OTHER), frame(V6), bytes(60)]

WRAPPED: dict[int, Callable[[bytes], bytes]] = {
    1: lambda one: one,
    101: lambda one: one[14:],
    113: lambda one: bytes(14) + one[12:14] + one[14:],
    276: lambda one: one[12:14] + bytes(18) + one[14:],
}


def pcap(path: Path, link: int, frames: list[bytes]) -> None:
    head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, link)
    packets = (struct.pack("<IIII", 0, 0, len(one), len(one)) + one for one in frames)
    path.write_bytes(head + b"".join(packets))


def flows(path: Path) -> list[Flow]:
    return [
        some.flows.flow(row) for some in read_capture(path, VIPS) for row in range(len(some.flows))
    ]


@pytest.mark.parametrize("link", WRAPPED)
def test_each_session_with_a_vip_counts_once(link: int, tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    pcap(path, link, [WRAPPED[link](one) for one in FRAMES[:5]])

    assert link in LINKS
    assert [V4, V6] == flows(path)


@pytest.mark.parametrize("writer", [PcapWriter, PcapNgWriter])
def test_what_other_tools_write_is_read(
    writer: type[PcapWriter | PcapNgWriter], tmp_path: Path
) -> None:
    path = tmp_path / "a.cap"
    with writer(str(path)) as file:
        for one in FRAMES:
            file.write(Ether(one))

    assert [V4, V6] == flows(path)


def test_a_file_that_is_no_capture_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    for content in (b"", b"src_ip,src_port\n", b"\xd4\xc3\xb2\xa1", bytes(100)):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match="not a pcap or pcapng file, or cut short"):
            flows(path)


def test_a_capture_of_another_link_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    pcap(path, 105, FRAMES)

    with pytest.raises(ConfigError, match="link type is 105; expected Ethernet, raw IP or"):
        flows(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the file"):
        flows(tmp_path / "absent.pcap")


def test_without_dpkt_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dpkt", None)

    with pytest.raises(Unsupported, match="remainder\\[capture\\]"):
        flows(tmp_path / "a.pcap")
