"""Which secret does a tier hash with?  One for services, another for routers and their like.

Two tiers that hash the same fields under the same secret are not independent: a
machine that the first has chosen sees keys of one remainder only, and the second
then uses only some of its owners.  So each tier has a secret of its own, made of
that in the file.  Clusters and return paths share one, since they must name the
same router; all services share the other, since the sessions of a client to ports
80 and 443 may have to meet one server.

Source: HMAC-SHA-256 (RFC 2104), cut to 16 bytes.
Twin: none; the kernel is given the secret of its tier.
"""

from __future__ import annotations

import hmac
from typing import Final, Literal

Salt = Literal["services", "routers"]
"""Who shares a secret."""

SECRET_BYTES: Final = 16


def salted(secret: bytes | None, salt: Salt) -> bytes | None:
    """The secret of a tier; None if the file has none."""
    if secret is None:
        return None
    return hmac.digest(secret, b"remainder " + salt.encode(), "sha256")[:SECRET_BYTES]
