"""Parts of the documents of ``check``, ``where`` and ``status``: earlier calculations."""

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


class EarlierOwner(Struct, kw_only=True):
    """A server or member in an earlier calculation."""

    name: str
    address: str
    """empty for a member"""
    weight: int
    slots: int


class ReportedEarlier(Struct, kw_only=True):
    """An earlier calculation of a service or a cluster as it runs."""

    key: str
    table: str
    slots: int
    servers: list[EarlierOwner]
