"""The host's changes, as they happen.

Rule: a message only makes us look; what stands there is read (law 12).  But for
the MAC of a neighbour, which is followed at once.
"""

from __future__ import annotations

import errno
import queue
import socket
import threading
from dataclasses import dataclass
from typing import Any, Final

from pyroute2.netlink.rtnl.marshal import MarshalRtnl

from remainder.errors import HostError
from remainder.kernel.neighbours import Neighbour, neighbour_of

_GROUPS: Final = 0x1 | 0x4 | 0x10 | 0x100  # of links, neighbours, IPv4 and IPv6 addresses
_BUFFER_BYTES: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Learned:
    """A neighbour on the segment of an interface."""

    index: int
    neighbour: Neighbour
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Touched:
    """Something else of an interface is no longer as it was; ``None``: of any."""

    index: int | None = None


class Monitor:
    """Puts ``Learned`` and ``Touched`` values into a queue, until it is closed."""

    def __init__(self, events: queue.SimpleQueue[Any]) -> None:
        self._events = events
        self._marshal = MarshalRtnl()
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
            self._socket.bind((0, _GROUPS))
        except OSError as error:
            raise HostError(f"listening to the kernel's messages: {error.strerror}") from None
        threading.Thread(target=self._listen, name="netlink", daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                data = self._socket.recv(_BUFFER_BYTES)
            except OSError as error:
                if error.errno == errno.EBADF:
                    return  # closed
                self._events.put(Touched())  # messages were lost
                continue
            try:
                for message in self._marshal.parse(data):
                    self._tell(message)
            except Exception:  # noqa: BLE001  (of a kind that pyroute2 cannot read: look instead)
                self._events.put(Touched())

    def _tell(self, message: Any) -> None:
        event = message.get("event")
        if event in ("RTM_NEWNEIGH", "RTM_DELNEIGH"):
            found = neighbour_of(message)
            if found is not None:
                deleted = event == "RTM_DELNEIGH"
                self._events.put(Learned(message["ifindex"], found, deleted=deleted))
        elif event in ("RTM_NEWLINK", "RTM_DELLINK", "RTM_NEWADDR", "RTM_DELADDR"):
            self._events.put(Touched(message["index"]))
            for name in ("link", "master"):  # what stands on an interface, or belongs to it
                if event.endswith("LINK") and message.get(name):
                    self._events.put(Touched(message.get(name)))

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()
