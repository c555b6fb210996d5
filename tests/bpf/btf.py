"""Read struct layouts and enums out of BTF, to compare them with Python's.

Source: Documentation/bpf/btf.rst of the kernel.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

_EXTRA = {1: 4, 3: 12, 14: 4, 17: 4}  # int, array, var, decl tag
_PER_MEMBER = {4: 12, 5: 12, 6: 8, 13: 8, 15: 12, 19: 12}
_INT, _POINTER, _ARRAY, _STRUCT, _UNION, _ENUM = 1, 2, 3, 4, 5, 6
_ALIASES = {8, 9, 10, 11, 18}  # typedef, volatile, const, restrict, type tag


@dataclass(frozen=True)
class _Type:
    kind: int
    name: str
    size_or_type: int
    body: bytes
    members: int


class Btf:
    """The types of an object file."""

    def __init__(self, raw: bytes) -> None:
        _, _, _, header, type_at, type_size, string_at, string_size = struct.unpack_from(
            "<HBBIIIII", raw
        )
        self._strings = raw[header + string_at : header + string_at + string_size]
        self._types = [_Type(0, "void", 0, b"", 0)]
        types = raw[header + type_at : header + type_at + type_size]
        at = 0
        while at < len(types):
            name, info, size_or_type = struct.unpack_from("<III", types, at)
            kind, members = info >> 24 & 0x1F, info & 0xFFFF
            length = _EXTRA.get(kind, 0) + _PER_MEMBER.get(kind, 0) * members
            body = types[at + 12 : at + 12 + length]
            self._types.append(_Type(kind, self._text(name), size_or_type, body, members))
            at += 12 + length

    def _text(self, at: int) -> str:
        return self._strings[at : self._strings.index(b"\0", at)].decode()

    def _named(self, kind: int, name: str) -> _Type:
        return next(found for found in self._types if (found.kind, found.name) == (kind, name))

    def layout(self, name: str) -> tuple[int, list[tuple[str, int, int]]]:
        """(size, [(field, offset, size)]) of a struct, in bytes; what has no size is left out."""
        found = self._named(_STRUCT, name)
        fields = [
            (self._text(field), bits // 8, self._size(kind))
            for field, kind, bits in struct.iter_unpack("<III", found.body)
        ]
        return found.size_or_type, [field for field in fields if field[2]]

    def _size(self, number: int) -> int:
        found = self._types[number]
        if found.kind in _ALIASES:
            return self._size(found.size_or_type)
        if found.kind == _ARRAY:
            element, _, count = struct.unpack("<III", found.body)
            return self._size(element) * int(count)
        return 8 if found.kind == _POINTER else found.size_or_type

    def enum(self, name: str) -> dict[str, int]:
        """The members of an enum."""
        found = self._named(_ENUM, name)
        return {self._text(at): value for at, value in struct.iter_unpack("<Ii", found.body)}
