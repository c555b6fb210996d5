"""One client session of the lab: TCP from a chosen address, speaking HTTP/1.1."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import socket
from collections.abc import AsyncIterator
from typing import Any, Final

from remainder.flow import endpoint, parse_endpoint
from remainder_lab.servers import body, body_sha256

_IP_BIND_ADDRESS_NO_PORT: Final = 24


class WrongAnswer(Exception):
    """The other side answered, but not what a working server says."""


FAILURES: Final = (OSError, EOFError, ValueError, KeyError, WrongAnswer)
"""What may go wrong in a session; the session reports it, the others go on."""


class Connection:
    """An open session."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, client: str
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.client = client

    async def who(self, path: str) -> str:
        """The name of the server, which must see this client as it is."""
        await self._ask(f"GET {path} HTTP/1.1\r\nHost: lab\r\n\r\n")
        answer = await self._json()
        if answer.get("client") != self.client:
            raise WrongAnswer(f"the server saw {answer.get('client')} as the client")
        return str(answer["server"])

    async def download(self, length: int) -> str:
        """Fetch ``/bytes/LENGTH`` and check it; the name of the server."""
        await self._ask(f"GET /bytes/{length} HTTP/1.1\r\nHost: lab\r\n\r\n")
        left, headers = await self._head()
        digest = hashlib.sha256()
        while left:
            piece = await self.reader.read(min(left, 262_144))
            if not piece:
                raise EOFError(f"the body ended {left} bytes early")
            digest.update(piece)
            left -= len(piece)
        if not digest.hexdigest() == headers["x-sha256"] == body_sha256(length):
            raise WrongAnswer(f"the checksum of {length} bytes down is wrong")
        return headers["x-server"]

    async def upload(self, length: int) -> str:
        """Send LENGTH bytes to ``/upload`` and compare checksums; the name of the server."""
        await self._ask(f"PUT /upload HTTP/1.1\r\nHost: lab\r\nContent-Length: {length}\r\n\r\n")
        for piece in body(length):
            self.writer.write(piece)
            await self.writer.drain()
        answer = await self._json()
        if (answer["length"], answer["sha256"]) != (length, body_sha256(length)):
            raise WrongAnswer(f"the checksum of {length} bytes up is wrong")
        return str(answer["server"])

    async def _ask(self, text: str) -> None:
        self.writer.write(text.encode())
        await self.writer.drain()

    async def _json(self) -> dict[str, Any]:
        length, _ = await self._head()
        answer: dict[str, Any] = json.loads(await self.reader.readexactly(length))
        return answer

    async def _head(self) -> tuple[int, dict[str, str]]:
        text = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status, *lines = text.rstrip("\r\n").split("\r\n")
        if not status.startswith("HTTP/1.1 200 "):
            raise WrongAnswer(status)
        headers = {
            key.lower(): value.strip() for key, _, value in (line.partition(":") for line in lines)
        }
        return int(headers["content-length"]), headers


@contextlib.asynccontextmanager
async def connected(source: str, target: str) -> AsyncIterator[Connection]:
    """A TCP session from an address to ``ADDRESS:PORT``, closed in order at the end."""
    sock = await client_socket(source, target, socket.SOCK_STREAM)
    try:
        reader, writer = await asyncio.open_connection(sock=sock, limit=1 << 20)
    except BaseException:
        sock.close()
        raise
    try:
        yield Connection(reader, writer, local_endpoint(sock))
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def client_socket(source: str, target: str, kind: socket.SocketKind) -> socket.socket:
    """A connected socket; ``source`` may name a port, else the kernel takes one."""
    address, port = parse_endpoint(source)
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    sock = socket.socket(family, kind | socket.SOCK_NONBLOCK)
    try:
        if port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        else:
            # The port is then chosen as for a client that does not bind: even ones first,
            # which matters where a key adds the port up.
            sock.setsockopt(socket.SOL_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
        sock.bind((str(address), port))
        to_address, to_port = parse_endpoint(target)
        await asyncio.get_running_loop().sock_connect(sock, (str(to_address), to_port))
    except BaseException:
        sock.close()
        raise
    return sock


def local_endpoint(sock: socket.socket) -> str:
    """``ADDRESS:PORT`` of our side."""
    address, port, *_ = sock.getsockname()
    return endpoint(parse_endpoint(f"[{address}]")[0], port)
