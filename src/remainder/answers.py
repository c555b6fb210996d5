"""Where many flows go: ``Plan.where`` for columns of flows.

Claims: 1-14, 17-27, 31-33.
Rule: pure; a test compares every answer with that of ``Plan.where``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from remainder.choice import Choice, Match
from remainder.flow import ICMP, ICMPV6, Address, is_one_machine
from remainder.flows import Column, Flows
from remainder.selection import Table
from remainder.selection.key import Key
from remainder.selection.many import Words, remainders, words_of

Numbers = npt.NDArray[np.int32]

ENDS: Final = ("owned", "no_service", "not_vip", "echo_answered")
"""What ``Answers.end`` counts: with an owner, or the outcome of a packet without."""

_CHUNK: Final = 1 << 15
"""Flows at a time: few enough to stay in the processor's cache."""

_ANY_PROTOCOL: Final = 256


@dataclass(frozen=True, eq=False)
class Answers:
    """Where each flow goes; every array has one row for each flow."""

    choice: Numbers
    """index into the plan's choices; -1 without"""
    slot: Numbers
    """-1 without a choice"""
    owner: Numbers
    """index into the choice's owners; -1 without"""
    end: npt.NDArray[np.uint8]
    """index into ENDS"""
    words: Words
    """the key: shape (n, 1), or for IPv6 (n, 3); words of 64 bits, the lowest first"""

    def key(self, row: int) -> int | None:
        """The key of one flow, exactly; None without a choice."""
        if self.choice[row] < 0:
            return None
        return sum(int(word) << 64 * place for place, word in enumerate(self.words[row]))


class Asked(NamedTuple):
    """A choice and its table."""

    choice: Choice
    table: Table


def answers_of(
    asked: Sequence[Asked], flows: Flows, *, secret: bytes | None, answers_echo: bool
) -> Answers:
    """The answers for flows of one family; ``answers_echo``: whoever asks answers pings of VIPs."""
    family = _Family(asked, flows.version)
    count = len(flows)
    made = Answers(
        choice=np.full(count, -1, dtype=np.int32),
        slot=np.full(count, -1, dtype=np.int32),
        owner=np.full(count, -1, dtype=np.int32),
        end=np.zeros(count, dtype=np.uint8),
        words=np.zeros((count, 1 if flows.version == 4 else 3), dtype=np.uint64),
    )
    for start in range(0, count, _CHUNK):
        part = slice(start, min(start + _CHUNK, count))
        some = flows[part]
        vip, choice = family.find(some)
        end = np.where(choice >= 0, 0, np.where(vip >= 0, 1, 2)).astype(np.uint8)
        if answers_echo:
            echo = family.echo(some, vip, choice)
            end[echo], choice[echo] = ENDS.index("echo_answered"), -1
        made.choice[part], made.end[part] = choice, end
        _own(family, some, made, at=part, secret=secret)
    return made


def _own(family: _Family, flows: Flows, made: Answers, *, at: slice, secret: bytes | None) -> None:
    """Fill in keys, slots and owners of flows whose choice is known."""
    choice = made.choice[at]
    for key, numbers in family.keys.items():
        rows = np.flatnonzero(numbers[choice])  # the last element of numbers is for -1
        if not len(rows):
            continue
        whole = len(rows) == len(flows)
        words = words_of(key, flows if whole else flows[rows], secret)
        chosen = choice if whole else choice[rows]
        slot = remainders(words, family.slots[chosen]).astype(np.int64)
        put = slice(at.start, at.stop) if whole else rows + at.start
        made.words[put, : words.shape[1]] = words
        made.slot[put] = slot
        made.owner[put] = family.table[family.first[chosen] + slot]


class _Family:
    """The choices of one address family, as arrays to search in."""

    def __init__(self, asked: Sequence[Asked], version: int) -> None:
        mine = [
            (number, one)
            for number, one in enumerate(asked)
            if one.choice.match.address.version == version
        ]
        self.table = np.concatenate([one.table for one in asked] or [np.empty(0, np.uint16)])
        sizes = np.array([len(one.table) for one in asked], dtype=np.int64)
        self.slots = np.append(sizes, 1).astype(np.uint64)
        self.first = np.append(np.cumsum(sizes) - sizes, 0)
        self.protocol = np.array(
            [_protocol(one.choice.match.protocol) for one in asked] + [_ANY_PROTOCOL + 1]
        )
        self.keys: Mapping[Key, Column] = _by_key(asked)
        self.everything = next((number for number, one in mine if one.choice.match.any_address), -1)
        named = [(number, one) for number, one in mine if not one.choice.match.any_address]
        self.vips = _Vips(list(dict.fromkeys(one.choice.match.address for _, one in named)))
        self.levels = _levels(
            [(number, one.choice.match) for number, one in named], self.vips.number
        )
        self.version = version

    def find(self, flows: Flows) -> tuple[Numbers, Numbers]:
        """The number of the VIP and of the most specific choice of each flow; -1 without."""
        vip = self.vips.find(flows.dst_ip)
        choice = np.full(len(flows), self.everything, dtype=np.int32)
        for codes, numbers, reads_port, reads_protocol in self.levels:
            code = vip.astype(np.int64) << 25
            if reads_port:
                code |= flows.dst_port.astype(np.int64) << 9
            code |= flows.protocol if reads_protocol else _ANY_PROTOCOL
            place = np.searchsorted(codes, code)
            place[place == len(codes)] = 0
            found = codes[place] == code
            np.copyto(choice, numbers[place], where=found)
        return vip, choice

    def echo(self, flows: Flows, vip: Numbers, choice: Numbers) -> Column:
        """Which flows are pings that the balancer answers itself (``Plan.answers_echo``)."""
        number = ICMP if self.version == 4 else ICMPV6
        asks: Column = (flows.protocol == number) & (vip >= 0)
        if not asks.any():
            return asks
        asks &= self.protocol[choice] != number
        rows = np.flatnonzero(asks)
        sources, which = np.unique(flows.src_ip[rows], axis=0, return_inverse=True)
        asked = [_address(source) for source in sources]
        clients = [is_one_machine(one) and one not in self.vips.number for one in asked]
        asks[rows] = np.array(clients, dtype=bool)[which.ravel()]
        return asks


def _address(source: Column) -> Address:
    """One of a column's addresses."""
    if source.ndim:
        return IPv6Address(source.tobytes())
    return IPv4Address(int(source))


class _Vips:
    """VIPs to look up by address."""

    def __init__(self, addresses: Sequence[Address]) -> None:
        self.number = {address: number for number, address in enumerate(addresses)}
        packed = b"".join(address.packed for address in addresses)
        is_v6 = bool(addresses) and addresses[0].version == 6
        self.words = (
            np.frombuffer(packed, dtype="<u8").reshape(-1, 2)
            if is_v6
            else np.frombuffer(packed, dtype=">u4").astype(np.uint64)[:, np.newaxis]
        )
        self.factor = np.uint64(0x9E37_79B9_7F4A_7C15)
        mixed = self._mixed(self.words)
        while len(np.unique(mixed)) < len(mixed):
            self.factor += np.uint64(2)
            mixed = self._mixed(self.words)
        self.order = np.argsort(mixed)
        self.mixed = mixed[self.order]

    def find(self, addresses: Column) -> Numbers:
        """The number of each VIP; -1 for an address that is none."""
        if not len(self.mixed):
            return np.full(len(addresses), -1, dtype=np.int32)
        words = (
            addresses.view("<u8")
            if addresses.ndim == 2
            else addresses.astype(np.uint64)[:, np.newaxis]
        )
        place = np.minimum(np.searchsorted(self.mixed, self._mixed(words)), len(self.mixed) - 1)
        number = self.order[place]
        known = (self.words[number] == words).all(axis=1)
        return np.where(known, number, -1).astype(np.int32)

    def _mixed(self, words: Words) -> Words:
        """One word of an address's two; different for all VIPs."""
        if words.shape[1] == 1:
            return words[:, 0]
        mixed: Words = words[:, 0] * self.factor + words[:, 1]
        return mixed


class _Level(NamedTuple):
    """Choices that are equally specific, in the order of their codes."""

    codes: npt.NDArray[np.int64]
    """VIP, port (0: any) and protocol (256: any) as one number"""
    numbers: Numbers
    reads_port: bool
    reads_protocol: bool


def _levels(choices: Sequence[tuple[int, Match]], vips: Mapping[Address, int]) -> list[_Level]:
    """The choices level by level, the most specific ones last (``Plan.find``)."""
    levels = []
    for reads_port, reads_protocol in ((False, False), (False, True), (True, False), (True, True)):
        codes = {
            vips[match.address] << 25 | (match.port or 0) << 9 | _protocol(match.protocol): number
            for number, match in choices
            if (match.port is not None, match.protocol is not None) == (reads_port, reads_protocol)
        }
        if codes:
            order = sorted(codes)
            levels.append(
                _Level(
                    np.array(order, dtype=np.int64),
                    np.array([codes[code] for code in order], dtype=np.int32),
                    reads_port,
                    reads_protocol,
                )
            )
    return levels


def _protocol(number: int | None) -> int:
    return _ANY_PROTOCOL if number is None else number


def _by_key(asked: Sequence[Asked]) -> dict[Key, Column]:
    """Key → for each choice whether it has it; a last element for no choice."""
    keys: dict[Key, Column] = {}
    for number, one in enumerate(asked):
        same = Key(tuple(sorted(one.choice.key.fields)), one.choice.key.hashed)
        keys.setdefault(same, np.zeros(len(asked) + 1, dtype=bool))[number] = True
    return keys
