"""A server that answers with its name: HTTP/1.1 over TCP, and a UDP echo.

``GET /``          JSON: name of the server, address and port of the client as it sees them
``GET /bytes/N``   N bytes that depend on N alone; header ``X-SHA256``
``PUT /upload``    JSON: length and SHA-256 of what came
``GET /hold``      as ``GET /``; every connection is kept open until the client ends it

UDP: the answer to a datagram is the server's name, a space, and the datagram,
from the address it was sent to.

Run as ``python -m remainder_lab.servers --name s1 --bind ADDRESS …``; it says
``ready`` when all is bound, and ends at SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import re
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final, cast

BACKLOG: Final = 4096
LARGEST_BODY: Final = 1 << 30
LONGEST_HEAD: Final = 16_384
IDLE_LIMIT_S: Final = 300.0

_BLOCK: Final = 65_536


def body(length: int) -> Iterator[bytes]:
    """The deterministic body of ``/bytes/N``, in pieces: each block tells its number."""
    for number in range(-(-length // _BLOCK)):
        block = (b"%015d\n" % number) * (_BLOCK // 16)
        yield block[: length - number * _BLOCK]


@lru_cache(maxsize=16)
def body_sha256(length: int) -> str:
    """SHA-256 of ``body(length)``, hexadecimal."""
    digest = hashlib.sha256()
    for piece in body(length):
        digest.update(piece)
    return digest.hexdigest()


class HttpServer:
    """Answers HTTP/1.1 requests, as many on a connection as the client likes."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection to its end."""
        try:
            while await self._exchange(reader, writer):
                pass
        except (OSError, EOFError, asyncio.LimitOverrunError, TimeoutError):
            pass  # the client went away, or speaks no HTTP: the connection ends, nothing else
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; whether the connection stays open."""
        async with asyncio.timeout(IDLE_LIMIT_S):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        request, *lines = head.rstrip("\r\n").split("\r\n")
        headers = {
            key.strip().lower(): value.strip()
            for key, _, value in (line.partition(":") for line in lines)
        }
        method, _, rest = request.partition(" ")
        path, _, version = rest.partition(" ")
        stays = version == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
        if method == "PUT" and path == "/upload":
            await self._upload(reader, writer, headers)
        elif method == "GET" and (match := re.fullmatch(r"/bytes/(\d{1,10})", path)):
            await self._bytes(writer, int(match[1]))
        elif method == "GET" and path in ("/", "/hold"):
            self._say(writer, 200, {"server": self.name, "client": _peer(writer)})
        else:
            self._say(writer, 404, {"server": self.name, "error": f"no {method} {path} here"})
            stays = False
        await writer.drain()
        return stays

    async def _upload(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        headers: dict[str, str],
    ) -> None:
        text = headers.get("content-length", "")
        if not text.isdecimal() or int(text) > LARGEST_BODY:
            self._say(writer, 411, {"error": f"send Content-Length, at most {LARGEST_BODY}"})
            return
        if headers.get("expect", "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        left = int(text)
        digest = hashlib.sha256()
        while left:
            piece = await reader.read(min(left, 262_144))
            if not piece:
                raise EOFError
            digest.update(piece)
            left -= len(piece)
        self._say(
            writer,
            200,
            {"server": self.name, "length": int(text), "sha256": digest.hexdigest()},
        )

    async def _bytes(self, writer: asyncio.StreamWriter, length: int) -> None:
        if length > LARGEST_BODY:
            self._say(writer, 404, {"error": f"at most {LARGEST_BODY} bytes"})
            return
        sha256 = await asyncio.to_thread(body_sha256, length)
        writer.write(
            f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n"
            f"X-Server: {self.name}\r\nX-SHA256: {sha256}\r\n\r\n".encode()
        )
        for piece in body(length):
            writer.write(piece)
            await writer.drain()

    def _say(self, writer: asyncio.StreamWriter, status: int, answer: dict[str, object]) -> None:
        text = json.dumps(answer).encode() + b"\n"
        writer.write(
            f"HTTP/1.1 {status} {'OK' if status == 200 else 'Not OK'}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n".encode()
            + text
        )


class UdpEcho(asyncio.DatagramProtocol):
    """Answers every datagram with the server's name and the datagram."""

    def __init__(self, name: str) -> None:
        self._greeting = f"{name} ".encode()
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way to answer."""
        # In Python 3.11 the datagram transport is no instance of its own interface.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Echo."""
        if self._transport is not None:
            self._transport.sendto(self._greeting + data, addr)


async def serve(name: str, addresses: Sequence[str], *, port: int, udp_port: int) -> None:
    """Serve on every address until SIGTERM."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    http = HttpServer(name)
    async with contextlib.AsyncExitStack() as stack:
        for address in addresses:
            server = await asyncio.start_server(
                http.connected, address, port, backlog=BACKLOG, limit=262_144
            )
            stack.callback(server.close)
            echo, _ = await loop.create_datagram_endpoint(
                lambda: UdpEcho(name), sock=_udp_socket(address, udp_port)
            )
            stack.callback(echo.close)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await stop.wait()


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="remainder_lab.servers", description=__doc__)
    parser.add_argument("--name", required=True, help="what the server calls itself")
    parser.add_argument("--bind", action="append", required=True, help="an address to serve on")
    parser.add_argument("--port", type=int, default=80, help="TCP port")
    parser.add_argument("--udp-port", type=int, help="UDP port, like the TCP port if not given")
    options = parser.parse_args(arguments)
    asyncio.run(
        serve(
            options.name,
            options.bind,
            port=options.port,
            udp_port=options.udp_port or options.port,
        )
    )


def _udp_socket(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    # Answers of a burst must not be lost for want of room, that would look like a lost session.
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    bound.bind((address, port))
    return bound


def _peer(writer: asyncio.StreamWriter) -> str:
    host, port, *_ = writer.get_extra_info("peername")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


if __name__ == "__main__":
    main()
