"""Which server really got which packet: counted at the servers, not by the balancer.

Claim: 2 (each packet of a session is sent to the same server).
A witness is a packet socket on a server's interface.  It counts frames that
came in with the server's own MAC as destination, by the five fields.
Rule: it shares no code with the data plane, nor with the reference model; and
a count with gaps proves nothing, so losing a single packet is an error.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from types import TracebackType
from typing import Final, Self

from remainder.errors import HostError
from remainder.flow import ICMP, ICMPV6, WITH_PORTS, Flow
from remainder_lab.host import Host

Sessions = Mapping[Flow, Mapping[str, int]]
"""flow → server → packets"""

_ROOM_BYTES: Final = 512 << 20
_SNAPPED_BYTES: Final = 256
_POLL_S: Final = 0.05

_ETH_P_ALL: Final = 0x0003
_SO_ATTACH_FILTER: Final = 26
_SO_RCVBUFFORCE: Final = 33
_SOL_PACKET: Final = 263
_PACKET_STATISTICS: Final = 6
_PACKET_IGNORE_OUTGOING: Final = 23

_LOAD_WORD: Final = 0x20
_LOAD_HALF: Final = 0x28
_JUMP_IF_EQUAL: Final = 0x15
_RETURN: Final = 0x06

_ETHERNET: Final = 14
_ECHO: Final = frozenset({(ICMP, 0), (ICMP, 8), (ICMPV6, 128), (ICMPV6, 129)})
_FRAGMENT_HEADER: Final = 44
_EXTENSION_HEADERS: Final = frozenset({0, 43, 60, _FRAGMENT_HEADER})


class Witness:
    """Counts the packets that reach a host, for as long as its block runs.

    Packets from ``ignored`` addresses are not reported, nor pings from the ranges in
    ``pinging``: a balancer asks its servers whether they live, also from addresses
    that nobody has.
    """

    def __init__(
        self,
        host: Host,
        interface: str = "eth0",
        *,
        ignored: Iterable[str] = (),
        pinging: Iterable[str] = (),
    ) -> None:
        self.host = host
        self.interface = interface
        self._ignored = frozenset(ip_address(text) for text in ignored)
        self._pinging = [ip_network(text, strict=False) for text in pinging]
        self._counted: Counter[bytes] = Counter()
        self._lost = 0
        self._drain_lock = threading.Lock()
        self._stop = threading.Event()
        self._socket: socket.socket | None = None
        self._thread = threading.Thread(target=self._watch, name="witness", daemon=True)

    def __enter__(self) -> Self:
        mac = self.host.mac_bytes(self.interface)
        self._socket = self.host.call(_packet_socket, self.interface, mac)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop counting; the account can still be read."""
        self._stop.set()
        self._thread.join()
        self._drain()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    @property
    def name(self) -> str:
        """The server's name."""
        return self.host.name

    @property
    def lost(self) -> int:
        """Packets the kernel could not keep for us; with any, the count proves nothing."""
        self._drain()
        return self._lost

    def packets(self) -> dict[Flow, int]:
        """How many packets of each flow have come in.  Raises HostError if some were lost."""
        if self.lost:
            raise HostError(
                f"the witness on {self.name} lost {self._lost} packets, so its count "
                f"proves nothing; send less at once"
            )
        with self._drain_lock:
            counted = dict(self._counted)
        told = {_as_flow(fields): count for fields, count in counted.items()}
        return {flow: count for flow, count in told.items() if not self._is_ignored(flow)}

    def _is_ignored(self, flow: Flow) -> bool:
        if flow.src_ip in self._ignored:
            return True
        return flow.protocol in (ICMP, ICMPV6) and any(flow.src_ip in net for net in self._pinging)

    def forget(self) -> None:
        """Start counting anew."""
        self._drain()
        with self._drain_lock:
            self._counted.clear()

    def _watch(self) -> None:
        while not self._stop.wait(_POLL_S):
            self._drain()

    def _drain(self) -> None:
        with self._drain_lock:
            if self._socket is None:
                return
            with suppress(BlockingIOError):
                while True:
                    fields = _five_fields(self._socket.recv(_SNAPPED_BYTES))
                    if fields is not None:
                        self._counted[fields] += 1
            # Reading resets the kernel's number.
            statistics = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
            self._lost += struct.unpack("=II", statistics)[1]


def sessions_at(witnesses: Iterable[Witness]) -> dict[Flow, dict[str, int]]:
    """flow → server → packets, from all accounts together."""
    sessions: dict[Flow, dict[str, int]] = {}
    for witness in witnesses:
        for flow, packets in witness.packets().items():
            sessions.setdefault(flow, {})[witness.name] = packets
    return sessions


def torn(sessions: Sessions) -> dict[Flow, Mapping[str, int]]:
    """The flows whose packets reached more than one server: claim 2 says there are none."""
    return {flow: servers for flow, servers in sessions.items() if len(servers) > 1}


def flow_of(frame: bytes) -> Flow | None:
    """The five fields of a frame; None for what is not IP, or is cut short.

    Ports are 0 for fragments without a header and for protocols without ports.
    """
    fields = _five_fields(frame)
    return _as_flow(fields) if fields is not None else None


def _five_fields(frame: bytes) -> bytes | None:
    """Source, destination, ports, protocol: 13 bytes, or 37 for IPv6."""
    try:
        kind = frame[12:14]
        if kind == b"\x08\x00":
            # The plain packet by slicing alone: a witness must keep up with its server.
            whole = not frame[20] & 0x1F | frame[21]
            plain = frame[14] == 0x45 and whole and frame[23] in WITH_PORTS
            return frame[26:38] + frame[23:24] if plain and len(frame) >= 38 else _walk4(frame)
        if kind == b"\x86\xdd":
            plain = frame[20] in WITH_PORTS
            return frame[22:58] + frame[20:21] if plain and len(frame) >= 58 else _walk6(frame)
    except (IndexError, struct.error):
        return None
    return None


def _walk4(frame: bytes) -> bytes:
    first, fragment, protocol, addresses = struct.unpack_from("!B5xHxB2x8s", frame, _ETHERNET)
    at = _ETHERNET + (first & 0x0F) * 4
    ports = bytes(4) if fragment & 0x1FFF else _ports(frame, at, protocol)
    return bytes((*addresses, *ports, protocol))


def _walk6(frame: bytes) -> bytes:
    protocol, addresses = struct.unpack_from("!6xBx32s", frame, _ETHERNET)
    at = _ETHERNET + 40
    later_fragment = False
    while protocol in _EXTENSION_HEADERS and not later_fragment:
        following, length, fragment = struct.unpack_from("!BBH", frame, at)
        if protocol == _FRAGMENT_HEADER:
            length, later_fragment = 0, bool(fragment & 0xFFF8)
        protocol, at = following, at + (length + 1) * 8
    ports = bytes(4) if later_fragment else _ports(frame, at, protocol)
    return bytes((*addresses, *ports, protocol))


def _ports(frame: bytes, at: int, protocol: int) -> bytes:
    if protocol in WITH_PORTS:
        return bytes(struct.unpack_from("4B", frame, at))
    if protocol in (ICMP, ICMPV6) and (protocol, frame[at]) in _ECHO:
        return bytes((*struct.unpack_from("2B", frame, at + 4), 0, 0))
    return bytes(4)


def _as_flow(fields: bytes) -> Flow:
    family, width = (IPv4Address, 4) if len(fields) == 13 else (IPv6Address, 16)
    src_port, dst_port, protocol = struct.unpack_from("!HHB", fields, 2 * width)
    return Flow(
        family(fields[:width]), src_port, family(fields[width : 2 * width]), dst_port, protocol
    )


def _packet_socket(interface: str, mac: bytes) -> socket.socket:
    """A packet socket of the current namespace for frames to the MAC; the caller closes it."""
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    try:
        opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _ROOM_BYTES)
        opened.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
        _attach_filter(opened, mac)
        # Bound last: until now it has received nothing, so it starts without a stray frame.
        opened.bind((interface, _ETH_P_ALL))
    except BaseException:
        opened.close()
        raise
    return opened


def _attach_filter(to: socket.socket, mac: bytes) -> None:
    """Classic BPF: frames to this MAC, cut to their headers; a room of megabytes lasts longer."""
    high, low = struct.unpack("!IH", mac)
    program = b"".join(
        struct.pack("=HBBI", *instruction)
        for instruction in (
            (_LOAD_WORD, 0, 0, 0),
            (_JUMP_IF_EQUAL, 0, 3, high),
            (_LOAD_HALF, 0, 0, 4),
            (_JUMP_IF_EQUAL, 0, 1, low),
            (_RETURN, 0, 0, _SNAPPED_BYTES),
            (_RETURN, 0, 0, 0),
        )
    )
    code = ctypes.create_string_buffer(program)
    to.setsockopt(
        socket.SOL_SOCKET,
        _SO_ATTACH_FILTER,
        struct.pack("HP", len(program) // 8, ctypes.addressof(code)),
    )
