"""Flows that were captured: pcap and pcapng files, read by dpkt.

Rule: sessions are counted, not packets; both directions of one are the same session.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, Final

from remainder.change.flow_lists import Seen, seen
from remainder.errors import ConfigError, Unsupported
from remainder.flow import Address, Flow
from remainder.reference import read_flow

_MACS: Final = bytes(12)


def _raw(packet: bytes) -> bytes:
    """As Ethernet, by the version of IP."""
    return _MACS + (b"\x86\xdd" if packet[:1] and packet[0] >> 4 == 6 else b"\x08\x00") + packet


LINKS: Final[dict[int, Callable[[bytes], bytes]]] = {
    1: lambda frame: frame,  # Ethernet
    12: _raw,
    14: _raw,
    101: _raw,  # raw IP, three numbers
    113: lambda frame: _MACS + frame[14:16] + frame[16:],  # Linux cooked
    228: _raw,
    229: _raw,  # IPv4 and IPv6
    276: lambda frame: _MACS + frame[0:2] + frame[20:],  # Linux cooked, version 2
}
"""Link type of a capture → its packets as Ethernet frames."""


class _UnknownLinkError(Exception):
    """A capture whose packets cannot be read."""


def _unknown(packet: bytes) -> bytes:
    del packet
    raise _UnknownLinkError


def read_capture(path: Path, vips: Collection[Address]) -> list[Seen]:
    """Every session with a VIP in a capture, once, of each address family.

    Raises ConfigError if the file is none, Unsupported if dpkt is not installed.
    """
    rows: dict[Flow, int] = {}
    for frame in _frames(path):
        flow = read_flow(frame)
        if flow is None:
            continue
        if flow.dst_ip not in vips and flow.src_ip in vips:
            flow = flow.reversed()
        if flow.dst_ip in vips:
            rows[flow] = 1
    return seen(rows)


def _frames(path: Path) -> Iterator[bytes]:
    try:
        import dpkt  # noqa: PLC0415  (an extra)
    except ImportError:
        raise Unsupported(
            "reading a capture needs dpkt; install it with `pip install 'remainder[capture]'`"
        ) from None
    try:
        with path.open("rb") as file:
            reader: Any = dpkt.pcap.UniversalReader(file)
            as_ethernet = LINKS.get(reader.datalink(), _unknown)
            for _, packet in reader:
                yield as_ethernet(bytes(packet))
    except OSError as error:
        raise ConfigError(
            str(path), f"cannot read the file ({error.strerror}); give the path of a capture"
        ) from None
    except _UnknownLinkError:
        raise ConfigError(
            str(path),
            f"link type is {reader.datalink()}; expected Ethernet, raw IP or Linux cooked",
        ) from None
    except (ValueError, struct.error, dpkt.UnpackError):
        raise ConfigError(
            str(path), "not a pcap or pcapng file, or cut short; expected the output of tcpdump -w"
        ) from None
