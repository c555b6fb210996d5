"""What ``keepalived --json`` prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from msgspec import Struct

from remainder.cli.documents import Version


class VrrpInstance(Struct, kw_only=True):
    """A VRRP instance, one for each address family."""

    name: str
    version: Literal[4, 6]
    """of IP"""
    advertised: list[str]
    excluded: list[str]


class KeepalivedDocument(Struct, kw_only=True):
    """``remainder keepalived FILE --json``."""

    version: Version = 1
    node: str
    place: int
    interface: str
    router_id: int
    priority: int
    advert_interval_s: float
    takeover_s: float
    data_plane: str
    """the pin of its link"""
    check: str
    """the command that succeeds while its program is attached"""
    instances: list[VrrpInstance]


DOCUMENTS: Final[Mapping[str, Any]] = {"keepalived": KeepalivedDocument}
