"""Every frame that passes an interface, in both directions, as the kernel hands it to a listener.

What a native XDP program sends back or drops is not shown at its own interface: tap the other
end of the wire.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from remainder_lab import Host

KEPT_BYTES: Final = 256
"""How much of each frame is kept; its length is told whole."""

_ROOM_BYTES: Final = 512 << 20
_ETH_P_ALL: Final = 0x0003
_SO_RCVBUFFORCE: Final = 33
_SOL_PACKET: Final = 263
_PACKET_STATISTICS: Final = 6


@dataclass(frozen=True)
class Seen:
    """A frame."""

    start: bytes
    length: int
    sent: bool
    """By the host that owns the interface; else it came in."""

    @property
    def destination(self) -> bytes:
        """The MAC address it is for."""
        return self.start[:6]

    @property
    def source(self) -> bytes:
        """The MAC address it is from."""
        return self.start[6:12]


class Tap:
    """Listens for as long as its block runs.  Losing one frame is an error."""

    def __init__(self, host: Host, interface: str) -> None:
        self._host = host
        self._interface = interface
        self._seen: list[Seen] = []
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        self._socket = self._host.call(_listening, self._interface)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.frames()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def frames(self) -> list[Seen]:
        """All so far."""
        if self._socket is None:
            return self._seen
        buffer = bytearray(KEPT_BYTES)
        while True:
            try:
                length, where = self._socket.recvfrom_into(buffer, KEPT_BYTES, socket.MSG_TRUNC)
            except BlockingIOError:
                break
            sent = where[2] == socket.PACKET_OUTGOING
            self._seen.append(Seen(bytes(buffer[:length]), length, sent))
        lost = struct.unpack("=II", self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))[1]

        assert 0 == lost
        return self._seen


def _listening(interface: str) -> socket.socket:
    """Bound last: until then it hears nothing, so it starts without a stray frame."""
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _ROOM_BYTES)
    opened.bind((interface, _ETH_P_ALL))
    return opened
