"""The one switch of ``ethtool`` that the lab needs, so that the package is not.

Locally made TCP and UDP crosses a veth without a checksum; XDP sends such a
frame on as it is, and the receiver drops it.  With ``tx`` off at the sender
the kernel fills the checksum in before the frame leaves.
"""

from __future__ import annotations

import ctypes
import fcntl
import socket
import struct
from typing import Final

_SIOCETHTOOL: Final = 0x8946
_ETHTOOL_GTXCSUM: Final = 0x16
_ETHTOOL_STXCSUM: Final = 0x17
_ETHTOOL_SGRO: Final = 0x2C


def tx_checksum_off(interface: str) -> None:
    """``ethtool -K INTERFACE tx off`` in the namespace of this thread."""
    _ioctl(interface, _ETHTOOL_STXCSUM, 0)


def gro_on(interface: str) -> None:
    """``ethtool -K INTERFACE gro on``: a veth then takes frames without an skb."""
    _ioctl(interface, _ETHTOOL_SGRO, 1)


def tx_checksum(interface: str) -> bool:
    """Whether frames leave the interface without a checksum in them."""
    return bool(_ioctl(interface, _ETHTOOL_GTXCSUM, 0))


def _ioctl(interface: str, command: int, value: int) -> int:
    argument = (ctypes.c_uint32 * 2)(command, value)  # struct ethtool_value
    request = struct.pack("16sP16x", interface.encode(), ctypes.addressof(argument))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        fcntl.ioctl(door, _SIOCETHTOOL, request)
    return int(argument[1])
