"""The keys and slots of many flows at once.

Claims: 8-13, 17, 19-27 (which data, and the formulas).
Twins: key.py and siphash.py, number by number; bpf/key.h.
Law: as there, sums do not wrap, whatever the family; ``%`` is arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

from remainder.errors import ConfigError
from remainder.flows import Column, Flows
from remainder.selection.key import Key
from remainder.selection.siphash import initial_state

Words = npt.NDArray[np.uint64]
"""Shape (n, w): unsigned integers of w words of 64 bits, the lowest one first."""

ADDRESS_FIELDS: Final = frozenset({"src_ip", "dst_ip"})

_LIMB: Final = np.uint64(32)
_LOW: Final = np.uint64(0xFFFF_FFFF)


def words_of(key: Key, flows: Flows, secret: bytes | None) -> Words:
    """The key of each flow: one word, or for a sum of IPv6 three."""
    if key.hashed:
        if secret is None:
            raise ConfigError("secret", "the key is a hash, but there is no secret")
        return _hashes(key, flows, secret)[:, np.newaxis]
    if flows.version == 4:
        return _sum(key.fields, flows)[:, np.newaxis]
    words = np.zeros((3, len(flows)), dtype=np.uint64)
    low, high, top = words
    low += _sum(sorted({*key.fields} - ADDRESS_FIELDS), flows)
    for name in ADDRESS_FIELDS.intersection(key.fields):
        halves = getattr(flows, name).view(">u8")
        half = halves[:, 1].astype(np.uint64)
        low += half
        carry = low < half
        half = halves[:, 0].astype(np.uint64)
        high += half
        top += high < half
        high += carry
        top += (high == 0) & carry
    return words.T


def remainders(words: Words, slots: Words) -> Words:
    """``key % slots``; ``slots`` has one number for each key, at most 2**20.

    Halves of words times a power of 2**32 modulo ``slots`` stay below 2**64 together.
    """
    if not len(words):
        return slots
    divisor = slots[0] if (slots == slots[0]).all() else slots
    if words.shape[1] == 1:
        return _modulo(words[:, 0], divisor)
    low, high, top = words.T
    half = (np.uint64(1) << _LIMB) % divisor
    total = (low >> _LIMB) * half
    total += low & _LOW
    power = half * half % divisor
    total += (high & _LOW) * power
    power = power * half % divisor
    total += (high >> _LIMB) * power
    power = power * half % divisor
    total += top * power
    return _modulo(total, divisor)


def _modulo(numbers: Words, divisor: Words | np.uint64) -> Words:
    """One divisor for all is several times faster, as a multiplication."""
    if isinstance(divisor, np.ndarray):
        return numbers % divisor
    rest = numbers // divisor
    rest *= divisor
    np.subtract(numbers, rest, out=rest)
    return rest


def _sum(fields: Iterable[str], flows: Flows) -> Words:
    total = np.zeros(len(flows), dtype=np.uint64)
    for name in fields:
        total += getattr(flows, name)
    return total


def _hashes(key: Key, flows: Flows, secret: bytes) -> Words:
    """SipHash-1-3 of the message of each flow."""
    v0, v1, v2, v3 = (np.full(len(flows), word, dtype=np.uint64) for word in initial_state(secret))
    room = np.empty_like(v0)
    for block in _blocks(key, flows):
        v3 ^= block
        _round(v0, v1, v2, v3, room)
        v0 ^= block
    v2 ^= np.uint64(0xFF)
    for _ in range(3):
        _round(v0, v1, v2, v3, room)
    return v0 ^ v1 ^ v2 ^ v3


def _blocks(key: Key, flows: Flows) -> list[Words]:
    """The padded message as little-endian words (docs/selection.md)."""

    def column(name: str) -> Column:
        found: Column = getattr(flows, name)
        return found if name in key.fields else np.zeros_like(found)

    src, dst = column("src_ip"), column("dst_ip")
    if flows.version == 4:
        blocks = [src.byteswap() | dst.byteswap().astype(np.uint64) << _LIMB]
        size = 13
    else:
        halves = (src.view("<u8"), dst.view("<u8"))
        blocks = [half[:, place].astype(np.uint64) for half in halves for place in (0, 1)]
        size = 37
    ports = (column("src_port").byteswap(), column("dst_port").byteswap().astype(np.uint32))
    last = (ports[0] | ports[1] << np.uint32(16)).astype(np.uint64)
    last |= column("protocol").astype(np.uint64) << _LIMB
    last |= np.uint64(size << 56)
    return [*blocks, last]


def _round(v0: Words, v1: Words, v2: Words, v3: Words, room: Words) -> None:
    """SipHash's round, in place."""
    v0 += v1
    _rotate(v1, 13, room)
    v1 ^= v0
    _rotate(v0, 32, room)
    v2 += v3
    _rotate(v3, 16, room)
    v3 ^= v2
    v0 += v3
    _rotate(v3, 21, room)
    v3 ^= v0
    v2 += v1
    _rotate(v1, 17, room)
    v1 ^= v2
    _rotate(v2, 32, room)


def _rotate(word: Words, bits: int, room: Words) -> None:
    np.right_shift(word, np.uint64(64 - bits), out=room)
    np.left_shift(word, np.uint64(bits), out=word)
    np.bitwise_or(word, room, out=word)
