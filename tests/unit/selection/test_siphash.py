"""SipHash-1-3 against CPython, which hashes bytes with it, and what a keyed hash must do."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remainder.selection.siphash import siphash13

CPYTHON = """
import sys
for line in sys.stdin:
    print(hash(bytes.fromhex(line)) % 2**64)
"""

secrets = st.binary(min_size=16, max_size=16)


def cpython_secret(seed: int) -> bytes:
    """The first 16 bytes of what PYTHONHASHSEED makes (CPython's lcg_urandom); 0 means zeroes."""
    if seed == 0:
        return bytes(16)
    secret, state = bytearray(), seed
    for _ in range(16):
        state = (state * 214013 + 2531011) % 2**32
        secret.append(state >> 16 & 0xFF)
    return bytes(secret)


@pytest.mark.parametrize("seed", [0, 1, 7, 2**32 - 1])
def test_siphash_is_what_cpython_hashes_bytes_with(seed: int) -> None:
    if sys.hash_info.algorithm != "siphash13":
        pytest.skip(f"this Python hashes with {sys.hash_info.algorithm}")
    draw = random.Random(seed)
    messages = [draw.randbytes(length) for length in range(1, 80)]
    answer = subprocess.run(
        [sys.executable, "-c", CPYTHON],
        input="".join(f"{message.hex()}\n" for message in messages),
        env={"PYTHONHASHSEED": str(seed)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert [int(line) for line in answer.stdout.split()] == [
        siphash13(cpython_secret(seed), message) for message in messages
    ]


@given(secrets, st.binary(max_size=64))
def test_the_hash_has_64_bits(secret: bytes, message: bytes) -> None:
    assert 0 <= siphash13(secret, message) < 2**64


@given(secrets, st.binary(min_size=1, max_size=64), st.data())
def test_one_other_bit_of_the_message_or_the_secret_gives_another_hash(
    secret: bytes, message: bytes, data: st.DataObject
) -> None:
    def with_other_bit(value: bytes) -> bytes:
        bit = data.draw(st.integers(0, len(value) * 8 - 1))
        return (int.from_bytes(value, "big") ^ 1 << bit).to_bytes(len(value), "big")

    plain = siphash13(secret, message)

    assert plain != siphash13(secret, with_other_bit(message))
    assert plain != siphash13(with_other_bit(secret), message)


@given(secrets, st.binary(max_size=64))
def test_the_length_counts_even_if_zeroes_follow(secret: bytes, message: bytes) -> None:
    assert siphash13(secret, message) != siphash13(secret, message + b"\0")
