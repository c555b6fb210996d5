"""The key: from the fields of a packet to one number.

Claims: 8-13, 17, 19-27 (which data, and the formulas).
Twin: bpf/key.h.
Law: sums do not wrap, whatever the family; ``%`` is arithmetic.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from remainder.errors import ConfigError
from remainder.flow import Flow
from remainder.selection.siphash import siphash13

FIELDS: Final = ("src_ip", "src_port", "dst_ip", "dst_port", "protocol")
"""Every field a key may name, in the order of claim 17."""

PORT_FIELDS: Final = frozenset({"src_port", "dst_port"})


@dataclass(frozen=True, slots=True)
class Key:
    """A parsed key expression.

    ``fields`` in the order written; ``hashed``: a hash rather than a sum.
    """

    fields: tuple[str, ...]
    hashed: bool

    @property
    def reads_ports(self) -> bool:
        """Whether the key needs the ports, which later fragments lack."""
        return not PORT_FIELDS.isdisjoint(self.fields)

    def number(self, flow: Flow, secret: bytes | None = None) -> int:
        """The key of a flow: an unsigned integer, of any size for a sum, below 2**64 for a hash.

        ``secret`` (16 bytes) is needed for a hash only.
        """
        if self.hashed:
            if secret is None:
                raise ConfigError("secret", "the key is a hash, but there is no secret")
            return siphash13(secret, self.message(flow))
        values = field_values(flow)
        return sum(values[name] for name in self.fields)

    def message(self, flow: Flow) -> bytes:
        """The bytes that are hashed: 13 (IPv4) or 37 (IPv6), see docs/selection.md."""
        address_bytes = 4 if flow.version == 4 else 16
        values = field_values(flow)

        def part(name: str, size: int) -> bytes:
            return (values[name] if name in self.fields else 0).to_bytes(size, "big")

        return (
            part("src_ip", address_bytes)
            + part("dst_ip", address_bytes)
            + part("src_port", 2)
            + part("dst_port", 2)
            + part("protocol", 1)
        )

    def __str__(self) -> str:
        return f"hash({', '.join(self.fields)})" if self.hashed else " + ".join(self.fields)


def field_values(flow: Flow) -> Mapping[str, int]:
    """Each field of the flow as an unsigned integer."""
    return {
        "src_ip": int(flow.src_ip),
        "src_port": flow.src_port,
        "dst_ip": int(flow.dst_ip),
        "dst_port": flow.dst_port,
        "protocol": flow.protocol,
    }


_HASH = re.compile(r"hash\s*\((?P<fields>.*)\)", re.DOTALL)


def parse_key(text: str, where: str = "key") -> Key:
    """Read ``src_ip + dst_ip + dst_port`` or ``hash(src_ip, src_port)``.

    Raises ConfigError: a field that does not exist, one named twice, none at
    all, or anything that is neither a sum nor a hash.
    """
    match = _HASH.fullmatch(text.strip())
    body, separator = (match["fields"], ",") if match else (text, "+")
    fields = tuple(part.strip() for part in body.split(separator))
    expected = (
        f"expected a sum like 'src_ip + dst_ip + dst_port', or 'hash(src_ip, src_port)', "
        f"of {', '.join(FIELDS)}"
    )
    if fields == ("",):
        raise ConfigError(where, f"{text!r} names no field; {expected}")
    for name in fields:
        if not name:
            raise ConfigError(where, f"empty term next to {separator!r} in {text!r}; {expected}")
        if name not in FIELDS:
            whole = "" if name == text.strip() else f" in {text!r}"
            raise ConfigError(where, f"unknown field {name!r}{whole}; {expected}")
    for name in fields:
        if fields.count(name) > 1:
            raise ConfigError(where, f"{name} appears twice in {text!r}; name each field once")
    return Key(fields=fields, hashed=match is not None)
