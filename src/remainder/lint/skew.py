"""Which servers get no traffic?  Known traffic that a formula spreads badly, with the arithmetic.

Measured: Linux gives a TCP client even source ports first; addresses are handed
out in strides, one /24 or one /64 to a client.  A sum passes a stride on to the
slots, and a stride that shares a divisor with the number of slots skips some.
Rule: this file says what follows from the numbers, not what traffic will arrive;
it knows owners and weights, never which role asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import gcd
from typing import Final, Literal

import numpy as np

from remainder.choice import Choice
from remainder.flow import ICMP, ICMPV6, PROTOCOLS, WITH_PORTS
from remainder.selection import Table
from remainder.selection.key import Key


@dataclass(frozen=True, slots=True)
class Skew:
    """One kind of traffic that is spread badly (``warning``), or worth knowing (``note``)."""

    name: str
    severity: Literal["warning", "note"]
    sentence: str
    arithmetic: str
    advice: str
    reached: int | None = None
    """How many servers that traffic reaches at worst."""


@dataclass(frozen=True, slots=True)
class _Stride:
    """Traffic whose keys lie ``step`` apart."""

    name: str
    step: int
    written: str
    who: str
    what: str


_EVEN_PORTS: Final = _Stride(
    "even_ports",
    step=2,
    written="2",
    who="Linux connect() uses even source ports first, so one client",
    what="source ports",
)
_ONE_PER_24: Final = _Stride(
    "one_per_24",
    step=2**8,
    written="256",
    who="clients in different /24s with the same last byte",
    what="addresses",
)
_ONE_PER_64: Final = _Stride(
    "one_per_64",
    step=2**64,
    written="2^64",
    who="clients in different /64s with the same lower 64 bits",
    what="addresses",
)


_FIXED_PORT_PER_24: Final = _Stride(
    "fixed_port_per_24",
    step=2**8,
    written="256",
    who="clients with one fixed source port (NTP, SIP, VPNs) in different /24s with the same "
    "last byte",
    what="addresses",
)
_FIXED_PORT_PER_64: Final = _Stride(
    "fixed_port_per_64",
    step=2**64,
    written="2^64",
    who="clients with one fixed source port (NTP, SIP, VPNs) in different /64s with the same "
    "lower 64 bits",
    what="addresses",
)


def skews(choice: Choice) -> list[Skew]:
    """Every known skew of a choice, warnings first."""
    key = choice.key
    sources = _sources(key, choice.match.protocol)
    several = sum(weight > 0 for weight in choice.weights) > 1
    found = []
    if several and not sources:
        return [_source_unread(key)]
    if several and not key.hashed:
        found += [
            skew
            for stride in _strides(sources, choice)
            if (skew := _strided(stride, choice)) is not None
        ]
    if several and sources == {"src_port"}:
        found.append(_ports_only(key))
    if several and sources == {"src_ip"}:
        found.append(_one_client(key))
    if choice.table == "modulo" and choice.slots is None and sources:
        found.append(_one_more(choice))
    return found


def _sources(key: Key, protocol: int | None) -> set[str]:
    """The source fields that the key reads; without ports ``src_port`` is always 0."""
    fields = {"src_ip", "src_port"} & set(key.fields)
    if protocol is None or protocol in WITH_PORTS or protocol in (ICMP, ICMPV6):
        return fields
    return fields - {"src_port"}


def _strides(sources: set[str], choice: Choice) -> list[_Stride]:
    if sources == {"src_ip"}:
        return [_ONE_PER_24 if choice.match.address.version == 4 else _ONE_PER_64]
    found = []
    # Measured: for UDP, Linux uses odd and even ports alike.
    if choice.match.protocol in (None, PROTOCOLS["tcp"]):
        found.append(_EVEN_PORTS)
    # Of TCP clients hardly any has a fixed port.
    if "src_ip" in sources and choice.match.protocol in (None, PROTOCOLS["udp"]):
        found.append(
            _FIXED_PORT_PER_24 if choice.match.address.version == 4 else _FIXED_PORT_PER_64
        )
    return found


def _strided(stride: _Stride, choice: Choice) -> Skew | None:
    """A warning if keys that lie a stride apart do not reach every server."""
    slots = choice.slot_count
    divisor = gcd(slots, stride.step)
    if divisor == 1:
        return None
    table = choice.filled()
    servers, reached = len(np.unique(table)), _reached(table, divisor)
    if reached == servers:
        return None
    meets = slots // divisor
    of_servers = "" if slots == servers else f", owned by {reached} of {servers} servers"
    return Skew(
        name=stride.name,
        severity="warning",
        sentence=f"{stride.who} can reach only {reached} of {servers} servers",
        arithmetic=(
            f"{stride.what} {stride.written} apart hit {slots} / gcd({slots}, {stride.written}) "
            f"= {slots} / {divisor} = {meets} of {slots} slots{of_servers}"
        ),
        advice='use table = "maglev" with an odd prime number of slots, or a hash, to reach all',
        reached=reached,
    )


def _reached(table: Table, divisor: int) -> int:
    """Fewest owners among the slots c, c + divisor, c + 2 * divisor, …, over all c."""
    classes = np.sort(table.reshape(-1, divisor), axis=0)
    return int((np.diff(classes, axis=0) != 0).sum(axis=0).min()) + 1


def _source_unread(key: Key) -> Skew:
    return Skew(
        name="source_unread",
        severity="warning",
        sentence="the key ignores the source, so all clients go to the same server",
        arithmetic=f"{key} is the same for every client",
        advice="add src_ip to the key",
        reached=1,
    )


def _ports_only(key: Key) -> Skew:
    return Skew(
        name="ports_only",
        severity="warning",
        sentence="all clients with the same source port, fixed ones above all (NTP, SIP, VPNs), "
        "go to the same server",
        arithmetic=f"{key} is the same for every address",
        advice="add src_ip to the key to tell clients apart",
        reached=1,
    )


def _one_client(key: Key) -> Skew:
    return Skew(
        name="one_client",
        severity="note",
        sentence="all sessions of one client, or of all behind one NAT, go to the same server",
        arithmetic=f"{key} is the same for every source port",
        advice="add src_port to the key to spread them",
        reached=1,
    )


def _one_more(choice: Choice) -> Skew:
    """What one more server with the smallest unit of weight would move, exactly.

    Among slots(slots + 1) successive keys each pair (key % slots, key % (slots + 1))
    occurs once, and an owner of w slots keeps w² of them.
    """
    weights = choice.weights
    unit, slots = gcd(*weights), choice.slot_count
    kept = Fraction(sum((weight // unit) ** 2 for weight in weights), slots * (slots + 1))
    if set(weights) <= {0, unit}:
        arithmetic = f"N / (N + 1) = {slots} / {slots + 1}"
    else:
        arithmetic = (
            f"1 - (sum of the squares of the servers' slots) / (N * (N + 1)) = "
            f"1 - {kept * slots * (slots + 1)} / ({slots} * {slots + 1})"
        )
    return Skew(
        name="one_more",
        severity="note",
        sentence=(
            f"one more server{f' of weight {unit}' * (len(set(weights)) > 1)} would move "
            f"{_percent(1 - kept)} of the flows"
        ),
        arithmetic=f"{arithmetic} = {_percent(1 - kept)}",
        advice=f'with table = "maglev", little more than {_percent(Fraction(1, slots + 1))}',
    )


def _percent(share: Fraction) -> str:
    return f"{float(100 * share):.3g} %"
