"""Parts of the documents of ``check`` and ``where``: earlier calculations."""

from __future__ import annotations

from msgspec import Struct


class CheckedEarlier(Struct, kw_only=True):
    """An earlier calculation of a service."""

    key: str
    table: str
    slots: int
    servers: int


class EarlierDecision(Struct, kw_only=True):
    """Where an earlier calculation sent the flow."""

    expression: str
    key: int
    """exact, so it may exceed 64 bits"""
    slots: int
    slot: int
    server: str
    address: str
    """empty for a member"""
