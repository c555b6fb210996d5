"""A config as a file would have it: values become text again."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Any

import msgspec

from remainder.config import Config
from remainder.flow import protocol_name
from remainder.selection.key import Key

ANY_IS_NONE = {("Service", "port"), ("Service", "protocol"), ("Cluster", "address")}


def file_of(config: Config) -> dict[str, Any]:
    """What ``tomllib`` would read of it; keys that are left out are left out."""
    return dict(_plain(config))


def _plain(value: Any, name: str = "") -> Any:
    match value:
        case msgspec.Struct():
            kind = type(value).__name__
            fields = {field.name: getattr(value, field.name) for field in _fields(value)}
            return {
                name: "any" if item is None else _plain(item, name)
                for name, item in fields.items()
                if item is not None or (kind, name) in ANY_IS_NONE
            }
        case list():
            return [_plain(item) for item in value]
        case IPv4Address() | IPv6Address() | Key():
            return str(value)
        case bytes():
            return value.hex(":") if name == "mac" else value.hex()
        case int() if name == "protocol":
            return protocol_name(value)
        case _:
            return value


def _fields(value: msgspec.Struct) -> tuple[Any, ...]:
    return msgspec.structs.fields(type(value))
