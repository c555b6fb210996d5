"""Many flows at once, as columns: one numpy array for each header field.

Claims: 6-12 (data associated with the packet).
Rule: addresses are what the packet carries: IPv4 as numbers, IPv6 as 16 bytes in network order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from remainder.errors import ConfigError
from remainder.flow import Flow

Column = npt.NDArray[Any]

_PORTS: Final = (("src_port", np.uint16), ("dst_port", np.uint16), ("protocol", np.uint8))


@dataclass(frozen=True, eq=False)
class Flows:
    """Flows of one address family, column by column, all of the same length.

    ``src_ip`` and ``dst_ip``: for IPv4 shape (n,), numbers below 2**32; for IPv6
    shape (n, 16), dtype uint8, in network byte order.  ``src_port``, ``dst_port`` and
    ``protocol``: shape (n,).  Raises ConfigError for any other shape or a value too large.
    """

    src_ip: Column
    src_port: Column
    dst_ip: Column
    dst_port: Column
    protocol: Column

    def __post_init__(self) -> None:
        for name in ("src_ip", "dst_ip"):
            object.__setattr__(self, name, _addresses(name, np.asarray(getattr(self, name))))
        for name, kind in _PORTS:
            given = np.asarray(getattr(self, name))
            object.__setattr__(self, name, _numbers(name, given, kind))
        shapes = {name: getattr(self, name).shape for name in self.__dataclass_fields__}
        lengths = {shape[0] for shape in shapes.values()}
        if len(lengths) > 1 or shapes["src_ip"] != shapes["dst_ip"]:
            raise ConfigError(
                "flows",
                f"the columns have the shapes {', '.join(map(str, shapes.values()))}; "
                f"expected the same length and the same address family",
            )

    @classmethod
    def of(cls, flows: Iterable[Flow]) -> Flows:
        """The columns of some flows, which must be of one address family."""
        rows = list(flows)
        if rows and rows[0].version == 6:
            addresses: list[Any] = [
                np.frombuffer(b"".join(parts), dtype=np.uint8).reshape(-1, 16)
                for parts in (
                    [flow.src_ip.packed for flow in rows],
                    [flow.dst_ip.packed for flow in rows],
                )
            ]
        else:
            addresses = [
                np.array([int(flow.src_ip) for flow in rows], dtype=np.uint64),
                np.array([int(flow.dst_ip) for flow in rows], dtype=np.uint64),
            ]
        return cls(
            addresses[0],
            np.array([flow.src_port for flow in rows], dtype=np.uint16),
            addresses[1],
            np.array([flow.dst_port for flow in rows], dtype=np.uint16),
            np.array([flow.protocol for flow in rows], dtype=np.uint8),
        )

    @property
    def version(self) -> int:
        """4 or 6."""
        return 4 if self.src_ip.ndim == 1 else 6

    def __len__(self) -> int:
        return len(self.src_port)

    def __getitem__(self, rows: slice | Column) -> Flows:
        """Some of the rows."""
        return Flows(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def flow(self, row: int) -> Flow:
        """One row as a value."""
        if self.version == 6:
            src: Any = IPv6Address(self.src_ip[row].tobytes())
            dst: Any = IPv6Address(self.dst_ip[row].tobytes())
        else:
            src, dst = IPv4Address(int(self.src_ip[row])), IPv4Address(int(self.dst_ip[row]))
        return Flow(
            src, int(self.src_port[row]), dst, int(self.dst_port[row]), int(self.protocol[row])
        )


def by_family(flows: Sequence[Flow]) -> list[tuple[list[int], Flows]]:
    """The flows of each address family, with their numbers in the sequence."""
    rows: dict[int, list[int]] = {}
    for number, flow in enumerate(flows):
        rows.setdefault(flow.version, []).append(number)
    return [(numbers, Flows.of(flows[number] for number in numbers)) for numbers in rows.values()]


def _addresses(name: str, given: Column) -> Column:
    if given.ndim == 2:
        if given.shape[1] != 16 or given.dtype != np.uint8:
            raise ConfigError(
                name,
                f"{name} has shape {given.shape} and dtype {given.dtype}; "
                f"expected (n, 16) and uint8 for IPv6",
            )
        return np.ascontiguousarray(given)
    return _numbers(name, given, np.uint32)


def _numbers(name: str, given: Column, kind: Any) -> Column:
    top = np.iinfo(kind).max
    if given.ndim != 1 or given.dtype.kind not in "ui":
        raise ConfigError(
            name,
            f"{name} has shape {given.shape} and dtype {given.dtype}; expected (n,) and integers",
        )
    if given.dtype != kind and len(given) and not 0 <= int(given.min()) <= int(given.max()) <= top:
        raise ConfigError(name, f"{name} has values outside 0–{top}")
    return given.astype(kind, copy=False)
