"""Flows that were seen, as text: a CSV file, or what ``ss`` and ``conntrack`` print.

Rule: pure; a line that cannot be read is a ConfigError with its number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Final

import numpy as np
import numpy.typing as npt

from remainder.errors import ConfigError
from remainder.flow import PROTOCOLS, Address, Flow, address_of, parse_protocol
from remainder.flows import Flows, by_family

COLUMNS: Final = ("src_ip", "src_port", "dst_ip", "dst_port", "protocol")
COUNT: Final = "count"

_SS_STATES: Final = frozenset(
    {"ESTAB", "SYN-SENT", "SYN-RECV", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT", "CLOSE-WAIT"}
    | {"LAST-ACK", "CLOSING", "LISTEN", "UNCONN", "CLOSED"}
)
_SS_OVER: Final = frozenset({"TIME-WAIT", "LISTEN", "UNCONN", "CLOSED"})
_CONNTRACK_OVER: Final = frozenset({"TIME_WAIT", "CLOSE", "SYN_SENT2"})
_CONNTRACK: Final = re.compile(r"\bsrc=(\S+) dst=(\S+) (?:sport=(\d+) dport=(\d+)|.*?\bid=(\d+))?")


@dataclass(frozen=True, eq=False)
class Seen:
    """Flows of one family, and how often each was seen."""

    flows: Flows
    counts: npt.NDArray[np.int64]


def read_flows(text: str, name: str, vips: Collection[Address]) -> list[Seen]:
    """The flows in a text, of each address family.

    ``vips`` tells which end of a socket is the service: what neither end has is
    read as on a server, whose local address it is.  Raises ConfigError.
    """
    lines = [
        (number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()
    ]
    if not lines:
        raise ConfigError(name, "no flows in it; expected CSV, or the output of ss or conntrack -L")
    rows: dict[Flow, int] = {}
    for number, flow, count in _reader(lines[0][1])(lines, name, vips):
        del number
        rows[flow] = rows.get(flow, 0) + count
    return seen(rows)


def seen(rows: dict[Flow, int]) -> list[Seen]:
    """Columns of flows and their counts."""
    flows, counts = list(rows), np.array(list(rows.values()), dtype=np.int64)
    return [Seen(columns, counts[numbers]) for numbers, columns in by_family(flows)]


_Lines = Sequence[tuple[int, str]]
_Rows = Iterator[tuple[int, Flow, int]]


def _reader(first: str) -> Callable[[_Lines, str, Collection[Address]], _Rows]:
    words = first.split()
    if "src=" in first or words[0] == "conntrack":
        return _conntrack
    if words[0] in {"State", "Netid"} | _SS_STATES or (
        len(words) > 1 and words[1] in _SS_STATES and words[0] in PROTOCOLS
    ):
        return _ss
    return _csv


def _csv(lines: _Lines, name: str, vips: Collection[Address]) -> _Rows:
    """With a header line, or the five fields and perhaps a count in this order."""
    del vips
    columns = [word.strip().strip('"').lower() for word in lines[0][1].split(",")]
    known = {*COLUMNS, COUNT}
    if known.isdisjoint(columns):
        columns = [*COLUMNS, COUNT][: max(len(columns), len(COLUMNS))]
    else:
        unknown = [word for word in columns if word not in known]
        missing = [word for word in COLUMNS if word not in columns]
        if unknown or missing or len({*columns}) < len(columns):
            what = (
                f"unknown column {unknown[0]!r}"
                if unknown
                else f"column {missing[0]!r} is missing"
                if missing
                else "a column appears twice"
            )
            raise ConfigError(
                f"{name}:{lines[0][0]}", f"{what}; expected {', '.join(COLUMNS)} and, if any, count"
            )
        lines = lines[1:]
    for number, line in lines:
        values = [value.strip().strip('"') for value in line.split(",")]
        if len(values) != len(columns):
            raise ConfigError(
                f"{name}:{number}", f"{len(values)} values; expected {', '.join(columns)}"
            )
        row = dict(zip(columns, values, strict=True))
        where = f"{name}:{number}"
        yield (
            number,
            Flow(
                _address(row["src_ip"], where),
                _number(row["src_port"], where, "src_port", 0xFFFF),
                _address(row["dst_ip"], where),
                _number(row["dst_port"], where, "dst_port", 0xFFFF),
                _protocol(row["protocol"], where),
            ),
            _number(row.get(COUNT, "1"), where, COUNT, 1 << 62),
        )


def _ss(lines: _Lines, name: str, vips: Collection[Address]) -> _Rows:
    """State Recv-Q Send-Q Local Peer; with Netid before it, or without."""
    for number, line in lines:
        words, protocol = line.split(), PROTOCOLS["tcp"]
        if words[0] in {"State", "Netid"}:
            continue
        if words[0] not in _SS_STATES:
            protocol, words = _protocol(words[0], f"{name}:{number}"), words[1:]
        if len(words) < 5 or words[0] not in _SS_STATES:
            raise ConfigError(
                f"{name}:{number}",
                "not a line of `ss -tn`; expected state, queues, local and peer address",
            )
        if words[0] in _SS_OVER:
            continue
        local, peer = (_endpoint(word, f"{name}:{number}") for word in words[3:5])
        source, target = (
            (local, peer) if peer[0] in vips and local[0] not in vips else (peer, local)
        )
        yield number, Flow(*source, *target, protocol), 1


def _conntrack(lines: _Lines, name: str, vips: Collection[Address]) -> _Rows:
    """The original direction of each entry."""
    del vips
    for number, line in lines:
        words = line.split()
        if words[0] == "conntrack":
            continue
        words = words[2:] if words[0] in {"ipv4", "ipv6"} else words
        found = _CONNTRACK.search(line)
        if found is None or len(words) < 3:
            raise ConfigError(
                f"{name}:{number}", "not a line of `conntrack -L`; expected src=, dst= and ports"
            )
        if not _CONNTRACK_OVER.isdisjoint(words[:5]):
            continue
        where = f"{name}:{number}"
        src, dst, sport, dport, echo = found.groups()
        protocol = _protocol(words[1] if words[1].isdecimal() else words[0], where)
        ports = (int(sport or echo or 0), int(dport or 0))
        if max(ports) > 0xFFFF:
            raise ConfigError(where, f"port is {max(ports)}; expected 0–65535")
        yield (
            number,
            Flow(_address(src, where), ports[0], _address(dst, where), ports[1], protocol),
            1,
        )


def _endpoint(word: str, where: str) -> tuple[Address, int]:
    """``192.0.2.1:80``, ``[2001:db8::1]:80``, ``[::ffff:192.0.2.1]:80``, perhaps with ``%eth0``."""
    address, _, port = word.rpartition(":")
    address = re.sub(r"%[^\]]*", "", address).strip("[]")
    return _address(address, where), _number(port, where, "port", 0xFFFF)


def _address(text: str, where: str) -> Address:
    try:
        return _parsed(text)
    except ConfigError as error:
        raise ConfigError(where, error.problem) from None


@lru_cache(maxsize=1 << 16)
def _parsed(text: str) -> Address:
    """Cached: clients and VIPs come up many times."""
    found = address_of(text)
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return found if mapped is None else mapped


def _protocol(text: str, where: str) -> int:
    return parse_protocol(text, where)


def _number(text: str, where: str, what: str, top: int) -> int:
    if not text.isdecimal() or len(text) > 19 or int(text) > top:
        raise ConfigError(where, f"{what} is {text[:60]!r}; expected a number, 0–{top}")
    return int(text)
