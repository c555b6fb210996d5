"""A machine with TCP sessions in every state, in a network namespace, for tests of programs."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from remainder.flow import Address, Flow
from remainder.reference import Sockets
from remainder_lab.host import Host
from tests.chances import PORT, TCP
from tests.recipes import CLIENTS, VIPS

RENEW_S: Final = 15.0
"""TIME_WAIT ends after 60 s."""

SESSIONS: Final = 3
WINDOW: Final = 60_000
"""No more than every socket has: what a test tries is far from it on either side."""

_TCP_REPAIR, _TCP_REPAIR_QUEUE, _TCP_QUEUE_SEQ = 19, 20, 21


class Sessions:
    """Live and closed sessions to the first VIP of each family; used inside the host."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._listeners = ExitStack()
        self._listening: dict[int, socket.socket] = {}
        self._made_s = 0.0
        self.live: dict[int, list[Flow]] = {}
        self.closed: dict[int, list[Flow]] = {}
        self.awaited: dict[Flow, int] = {}

    def renew(self) -> None:
        """Make them anew once they are old, or for the first time."""
        if self.live and time.monotonic() - self._made_s < RENEW_S:
            return
        self._stack.close()
        self._made_s = time.monotonic()
        for version in (4, 6):
            self.live[version] = []
            self.closed[version] = []
            if version not in self._listening:
                self._listening[version] = self._listeners.enter_context(
                    listening(VIPS[version][0], PORT)
                )
            listener = self._listening[version]
            for number in range(SESSIONS):
                flow, server, client = self._open(listener, CLIENTS[version][number])
                self.live[version].append(flow)
                self._stack.callback(client.close)
                self._stack.callback(server.close)
                flow, server, client = self._open(listener, CLIENTS[version][number])
                server.shutdown(socket.SHUT_WR)
                client.recv(1)
                client.close()
                server.recv(1)
                server.close()
                self.closed[version].append(flow)

    @property
    def sockets(self) -> Sockets:
        """What the model is given."""
        return Sockets(
            listening=frozenset((VIPS[version][0], PORT) for version in (4, 6)),
            live=frozenset(flow for flows in self.live.values() for flow in flows),
            closed={
                flow: (self.awaited[flow], WINDOW)
                for flows in self.closed.values()
                for flow in flows
            },
        )

    def close(self) -> None:
        """Close all of them."""
        self._stack.close()
        self._listeners.close()

    def _open(
        self, listener: socket.socket, client_address: Address
    ) -> tuple[Flow, socket.socket, socket.socket]:
        client = socket.socket(listener.family, socket.SOCK_STREAM)
        client.bind((str(client_address), 0))
        client.connect(listener.getsockname()[:2])
        accepted, (_, port, *_) = listener.accept()
        flow = Flow(client_address, port, VIPS[client_address.version][0], PORT, TCP)
        # A FIN takes one number.
        self.awaited[flow] = (awaited_by(accepted) + 1) % 2**32
        return flow, accepted, client


def awaited_by(accepted: socket.socket) -> int:
    """The sequence number that a socket expects next."""
    accepted.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR, 1)
    accepted.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR_QUEUE, 1)
    number = accepted.getsockopt(socket.IPPROTO_TCP, _TCP_QUEUE_SEQ)
    accepted.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR, -1)
    return number % 2**32


@contextmanager
def listening(address: Address, port: int, *, device: str | None = None) -> Iterator[socket.socket]:
    """A listener, of one interface or of all."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_STREAM) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if device is not None:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        opened.bind((str(address), port))
        opened.listen(16)
        yield opened


@contextmanager
def machine() -> Iterator[Host]:
    """A namespace whose loopback has the VIPs and, to talk to itself, the clients' addresses."""
    with Host("server") as host:
        for version, bits in ((4, 32), (6, 128)):
            addresses = [VIPS[version][0], *CLIENTS[version][:SESSIONS]]
            host.add_addresses("lo", [f"{address}/{bits}" for address in addresses])
        yield host
