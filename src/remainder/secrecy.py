"""What others may learn of a secret, and which secrets are none.

A fingerprint is printed, logged and sent to other nodes, so whoever sees it can try
secrets until one gives the same.  Against 16 random bytes that is hopeless; against a
secret that somebody thought up it is not.  So a fingerprint contains the secret
*stretched*: each trial takes as long as ROUNDS hashes, and still two nodes with the
same secret have the same fingerprint.
Rule: pure; no sentence from here repeats a secret.
"""

from __future__ import annotations

import hashlib
import hmac
from functools import lru_cache
from itertools import pairwise
from typing import Final

ROUNDS: Final = 100_000
"""About a tenth of a second, once for each process and secret."""

FEWEST_DIFFERENT_BYTES: Final = 8
"""Of 16 random ones fewer are different in one of 10**12 secrets."""

SAMPLES: Final = frozenset(
    {
        "5ca1ab1e0ddba11c0ffee0ddba11ca75",  # this manual's, once
        "2b7e151628aed2a6abf7158809cf4f3c",  # FIPS 197's
        "0123456789abcdeffedcba9876543210",
        "deadbeefcafebabedeadbeefcafebabe",
    }
)
"""Secrets that are printed somewhere."""


@lru_cache(maxsize=64)
def stretched(secret: bytes) -> bytes:
    """32 bytes that equal secrets share, and that are slow to make."""
    return hashlib.pbkdf2_hmac("sha256", secret, b"remainder: fingerprint of a secret", ROUNDS)


def fingerprint_of(content: bytes, secret: bytes | None) -> str:
    """Of a file (SHA-256, hexadecimal); ``secret`` is the one that stands in it, if one does."""
    if secret is None:
        return hashlib.sha256(content).hexdigest()
    return hmac.digest(stretched(secret), content, "sha256").hex()


def weakness(secret: bytes) -> str | None:
    """Why anybody could guess it, to go behind "secret"; None: nothing speaks against it."""
    if not any(secret):
        return "is all zeros"
    if secret.hex() in SAMPLES:
        return "is one that is printed in a manual"
    if secret in (secret + secret)[1:-1]:
        return "repeats itself"
    if len({(after - before) % 256 for before, after in pairwise(secret)}) == 1:
        return "is a plain row of numbers"
    if len(set(secret)) < FEWEST_DIFFERENT_BYTES:
        return f"has only {len(set(secret))} different bytes"
    return None
