"""The JSON schema of a Remainder file, for editors that complete and check as you type.

Rule: generated from the types of config.py, so it cannot go stale.  A schema
sees one value at a time; mistakes between values (a duplicate name, a server
that is a VIP) are for ``remainder check``.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from remainder.config import CLUSTER_MAC, Config
from remainder.flow import PROTOCOLS, WITH_PORTS
from remainder.forwarding import METHODS
from remainder.selection import ALGORITHMS
from remainder.selection.key import FIELDS
from remainder.values import schema_of

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_ADDRESS: Final = [{"format": "ipv4"}, {"format": "ipv6"}]
_WITHOUT_PORTS: Final = [name for name, number in PROTOCOLS.items() if number not in WITH_PORTS]


def json_schema() -> dict[str, Any]:
    """The schema (JSON Schema 2020-12) as plain values; the root is the whole file."""
    schema = msgspec.json.schema(Config, schema_hook=schema_of)
    definitions = schema["$defs"]
    for definition in definitions.values():
        definition["properties"] = {
            name: _without_null(field) for name, field in definition["properties"].items()
        }
    root, service, server = (definitions[name] for name in ("Config", "Service", "Server"))
    root["title"] = "Remainder file"
    root["anyOf"] = [{"required": [kind]} for kind in ("service", "cluster", "return_path")]
    root["properties"]["service"]["minItems"] = 1
    root["not"] = {"required": ["secret", "secret_file"]}
    root["properties"]["secret"]["pattern"] = "^[0-9A-Fa-f]{32}$"
    service["properties"]["protocol"]["enum"] = ["any", *PROTOCOLS]
    service["properties"]["method"]["enum"] = list(METHODS)
    choices = ("Service", "Cluster", "ReturnPath", "EarlierServers", "EarlierMembers")
    for choice in (definitions[name] for name in choices):
        choice["properties"]["key"]["pattern"] = _key_pattern()
        choice["properties"]["table"]["enum"] = list(ALGORITHMS)
    definitions["Cluster"]["properties"]["mac"]["default"] = CLUSTER_MAC
    service["properties"]["vip"]["anyOf"] = _ADDRESS
    server["properties"]["address"]["anyOf"] = _ADDRESS
    service["allOf"] = [
        {
            "if": {**_has("table", ["modulo"]), "required": ["table", "slots"]},
            "then": {"properties": {"servers": {"items": {"required": ["slot"]}}}},
        },
        {"if": _has("protocol", _WITHOUT_PORTS), "then": _has("port", ["any"])},
    ]
    del definitions["Config"]
    return {"$schema": DIALECT, **root, "$defs": definitions}


def _has(field: str, values: list[str]) -> dict[str, Any]:
    """A schema for tables whose field has one of the values."""
    return {"properties": {field: {"enum": values}}, "required": [field]}


def _without_null(field: dict[str, Any]) -> dict[str, Any]:
    """The same for TOML, which has no null: a key is left out instead."""
    pattern = field.get("pattern", "").removesuffix(r"(?!\n)")  # not every editor looks ahead
    if {"type": "null"} in field.get("anyOf", ()):
        (only,) = (dict(choice) for choice in field["anyOf"] if choice != {"type": "null"})
        return only | {name: field[name] for name in ("description",) if name in field}
    return field | ({"pattern": pattern} if pattern else {})


def _key_pattern() -> str:
    """What an expression looks like; it does not catch a repeated field."""
    field = f"({'|'.join(FIELDS)})"
    return (
        rf"^\s*({field}(\s*\+\s*{field})*"
        rf"|hash\s*\(\s*{field}(\s*,\s*{field})*\s*\))\s*$"
    )
