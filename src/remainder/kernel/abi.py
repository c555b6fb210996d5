"""What crosses the boundary between Python and the kernel.

Twin: bpf/abi.h; tests/bpf/test_abi.py compares every struct and enum by BTF.
"Raw" means the bytes as they stand in the packet, read as one little-endian word.
"""

from __future__ import annotations

import ctypes
import enum
from typing import Final

import numpy as np

from remainder.outcome import Outcome


class Feature(enum.IntFlag):
    """What the services of a file need: ``enum feature``."""

    IPV4 = 1
    IPV6 = 2
    SUM = 4
    HASH = 8
    ANY_PORT = 16
    ANY_PROTOCOL = 32
    ANY_ADDRESS = 64
    ECHO = 128
    BUFFERS = 256
    TAGGED_IPV4 = 512
    TAGGED_IPV6 = 1024


UNTAGGED: Final = Feature.IPV4 | Feature.IPV6
TAGGED_BITS: Final = 9
"""From the feature of a family to that of the same in tagged frames."""


class ServiceFlag(enum.IntFlag):
    """``enum service_flag``."""

    HASHED = 1
    FORWARD_FRAGMENTS = 2
    DROP_FRAGMENTS = 4


class OwnerFlag(enum.IntFlag):
    """``enum owner_flag``."""

    RESOLVED = 1
    SELF = 2


class OwnMac(enum.IntEnum):
    """``enum own_mac``: what another MAC address of this machine is, above its 48 bits."""

    SHIFT = 48
    STRANGE = 1
    ACCEPTED = 2


ORDINARY_MTU: Final = 1500
"""Bytes; at a larger one a frame may fill more than one receive buffer."""

LAYOUT_VERSION: Final = 3
"""``enum layout``: the meaning of the tables.  A change of it counts it up."""

PREFIXES: Final = 8
"""Ranges of the segment, of each family."""

OWN_MACS: Final = 16
"""Other MAC addresses of this machine."""

OUTCOMES: Final = tuple(Outcome)
"""``enum outcome`` in its order."""

NOBODY: Final = 0xFFFF
"""``enum owner_number``: a slot without an owner."""

SERVICE: Final = np.dtype(
    [
        ("vip_hi", "<u8"),
        ("vip_lo", "<u8"),
        ("match", "<u4"),
        ("slots", "<u4"),
        ("first_slot", "<u4"),
        ("first_owner", "<u4"),
        ("src_ip_mask", "<u4"),
        ("dst_ip_mask", "<u4"),
        ("ports_mask", "<u4"),
        ("protocol_mask", "u1"),
        ("flags", "u1"),
        ("method", "u1"),
        ("pad", "u1"),
        ("power", "<u4", (3,)),
        ("pad2", "<u4"),
    ]
)

TABLES: Final = np.dtype([("secret", "<u8", (4,)), ("pad", "<u8", (4,))])
"""How a half begins: ``struct tables``; layout.py says what stands behind it."""

OWNER: Final = np.dtype(
    [
        ("mac", "u1", (6,)),
        ("flags", "u1"),
        ("pad", "u1"),
        ("counter", "<u4"),
        ("pad2", "<u4"),
        ("via_hi", "<u8"),
        ("via_lo", "<u8"),
    ]
)

COUNT: Final = np.dtype([("packets", "<u8"), ("bytes", "<u8")])


class Prefix(ctypes.Structure):
    """An address range of the segment."""

    _fields_ = (
        ("value_hi", ctypes.c_uint64),
        ("value_lo", ctypes.c_uint64),
        ("mask_hi", ctypes.c_uint64),
        ("mask_lo", ctypes.c_uint64),
    )


class Live(ctypes.Structure):
    """Everything that changes while packets run, but the tables."""

    _fields_ = (
        ("half", ctypes.c_uint64),
        ("mac", ctypes.c_uint64),
        ("cluster_mac", ctypes.c_uint64),
        ("vlan", ctypes.c_uint64),
        ("own_macs", ctypes.c_uint64 * OWN_MACS),
        ("on_link4", Prefix * PREFIXES),
        ("on_link6", Prefix * PREFIXES),
    )


class Settings(ctypes.Structure):
    """Fixed at load."""

    _fields_ = (
        ("layout", ctypes.c_uint32),
        ("features", ctypes.c_uint32),
        ("bucket_shift", ctypes.c_uint32),
        ("service_shift", ctypes.c_uint32),
        ("services_at", ctypes.c_uint32),
        ("slots_at", ctypes.c_uint32),
        ("owners_at", ctypes.c_uint32),
        ("slots", ctypes.c_uint32),
        ("owners", ctypes.c_uint32),
        ("pad", ctypes.c_uint32),
    )


def raw(data: bytes) -> int:
    """Packet bytes as the machine loads them."""
    return int.from_bytes(data, "little")


def match_of(*, port: int, protocol: int, version: int) -> int:
    """What a service is recognised by, besides its VIP; 0 stands for ``any``."""
    return raw(port.to_bytes(2, "big")) | protocol << 16 | version << 24
