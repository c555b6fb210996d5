"""Edits of a file as text: comments and layout stay, and the result is checked.

Each section is edited on its own, from its header to the next one, and put back:
tomlkit moves sections together that stand apart in a file.
Rule: pure; what the text then says must equal what edits.py says, or nothing is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import tomli
import tomlkit
from msgspec.structs import fields
from tomlkit.items import AoT, Array

from remainder.change.edits import OWNERS, Kind, Listed, Section, kind_of
from remainder.config import (
    Cluster,
    Config,
    EarlierMember,
    EarlierMembers,
    EarlierServers,
    Service,
)
from remainder.errors import ConfigError

_Place = tuple[str | int, ...]
Lines = Callable[[str, dict[str, object]], Mapping[_Place, int]]
"""From a text and its content to the line of each place (sources/lines.py)."""

_KINDS: Final[tuple[Kind, ...]] = ("service", "cluster", "return_path")
_OWNER_FIELDS: Final = ("name", "address", "weight", "slot", "interface", "mode")


def rewritten(text: str, before: Config, after: Config, *, lines_of: Lines, name: str) -> str:
    """The text of ``before`` with what differs in ``after``.

    Raises ConfigError if a section is written in a way that cannot be edited.
    """
    pairs: list[tuple[Kind, int, Section, Section]] = [
        (kind, number, old, new)
        for kind in _KINDS
        for number, (old, new) in enumerate(
            zip(getattr(before, kind), getattr(after, kind), strict=True)
        )
        if old != new
    ]
    pieces = [
        (*_range(text, kind, number, lines_of=lines_of, name=name), old, new)
        for kind, number, old, new in pairs
    ]
    lines = text.splitlines(keepends=True)
    for first, last, old, new in sorted(pieces, key=lambda piece: -piece[0]):
        piece = "".join(lines[first:last]).rstrip("\n") + "\n"
        lines[first:last] = [_edited(piece, old, new, lines_of=lines_of)]
    return "".join(lines)


def _range(text: str, kind: Kind, number: int, *, lines_of: Lines, name: str) -> tuple[int, int]:
    """First and last line, from 0, of a section without the blank lines and comments behind it."""
    places = lines_of(text, tomli.loads(text))
    start = places.get((kind, number), 0)
    lines = text.splitlines()
    header = lines[start - 1].replace(" ", "").partition("#")[0].strip() if start else ""
    if header != f"[[{kind}]]":
        raise ConfigError(
            f"{name}:{start}" if start else name,
            f"{kind}[{number}] is not written as a [[{kind}]] section; write it so, or edit it "
            f"by hand",
        )
    inside = [line for place, line in places.items() if place[:2] == (kind, number)]
    outside = [
        line
        for place, line in places.items()
        if place[:2] != (kind, number) and line > start and place != (kind,)
    ]
    stop = min(outside, default=len(lines) + 1) - 1
    astray = [line for line in inside if line > stop]
    if astray:
        raise ConfigError(
            f"{name}:{min(astray)}",
            f"this belongs to [[{kind}]] in line {start}, with other sections in between; move it "
            f"there",
        )
    while stop > start and _is_blank(lines[stop - 1]):
        stop -= 1
    return start - 1, stop


def _is_blank(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _edited(piece: str, old: Section, new: Section, *, lines_of: Lines) -> str:
    """One section, from its header on."""
    kind = kind_of(old)
    document = tomlkit.parse(piece)
    section: Any = document[kind][0]
    for field in ("key", "table", "slots"):
        was, now = getattr(old, field), getattr(new, field)
        if was == now:
            continue
        if now is None:
            section.remove(field)
        else:
            section[field] = now if isinstance(now, int) else str(now)
    _edit_owners(section[OWNERS[kind]], old.owners, new.owners)
    if not isinstance(old, Service | Cluster) or not isinstance(new, Service | Cluster):
        return tomlkit.dumps(document)
    gone = [at for at, item in enumerate(old.before) if item not in new.before]
    for at in reversed(gone):
        del section["before"][at]
    if gone and len(gone) == len(old.before):
        section.remove("before")
    text = tomlkit.dumps(document).rstrip("\n") + "\n"
    added = [item for item in new.before if item not in old.before]
    return _with_before(text, kind, added, lines_of=lines_of) if added else text


def _edit_owners(items: Array | AoT, old: Sequence[Listed], new: Sequence[Listed]) -> None:
    names = [owner.name for owner in new]
    for at in reversed(range(len(old))):
        if old[at].name not in names:
            del items[at]
    kept = [owner for owner in old if owner.name in names]
    for at, owner in enumerate(new):
        if at >= len(kept):
            items.append(_item(owner, items))
        elif kept[at] != owner:
            _change(items, at, kept[at], owner)


def _change(items: Array | AoT, at: int, old: Listed, new: Listed) -> None:
    """The fields of an owner that differ."""
    item: Any = items[at]
    for field in _OWNER_FIELDS:
        was, now = getattr(old, field, None), getattr(new, field, None)
        if was == now:
            continue
        if field in item and now is not None:
            item[field] = now
        elif isinstance(items, AoT):
            item.pop(field, None)
            if now is not None:
                item[field] = now
        else:
            items[at] = _item(new, items)
            return


def _item(owner: Listed | EarlierMember, items: Array | AoT) -> Any:
    """An owner as a table, in the way of its list."""
    written = _fields_of(owner)
    if isinstance(items, AoT):
        table = tomlkit.table()
        table.update(written)
        return table
    return tomlkit.value(_inline(written))


def _fields_of(owner: Listed | EarlierMember) -> dict[str, str | int]:
    """What differs from its default, as written in a file."""
    default = {field.name: field.default for field in fields(type(owner))}
    return {
        name: value if isinstance(value, int) else str(value)
        for name in _OWNER_FIELDS
        if hasattr(owner, name) and (value := getattr(owner, name)) != default[name]
    }


def _inline(written: Mapping[str, str | int]) -> str:
    pairs = (f"{name} = {tomlkit.item(value).as_string()}" for name, value in written.items())
    return f"{{ {', '.join(pairs)} }}"


def _with_before(
    text: str,
    kind: Kind,
    added: Sequence[EarlierServers | EarlierMembers],
    *,
    lines_of: Lines,
) -> str:
    """The section with earlier calculations before those that it has."""
    lines = text.splitlines(keepends=True)
    at = lines_of(text, tomli.loads(text)).get((kind, 0, "before", 0), len(lines) + 1) - 1
    while at and _is_blank(lines[at - 1]):
        at -= 1
    blocks = [f"\n{_block(kind, item)}" for item in added]
    return "".join((*lines[:at], *blocks, *lines[at:]))


def _block(kind: Kind, item: EarlierServers | EarlierMembers) -> str:
    word = OWNERS[kind]
    width = len(word)
    lines = [
        f"[[{kind}.before]]",
        f"{'key':<{width}} = {tomlkit.item(str(item.key)).as_string()}",
        f'{"table":<{width}} = "{item.table}"',
    ]
    if item.slots is not None:
        lines.append(f"{'slots':<{width}} = {item.slots}")
    lines.append(f"{word} = [")
    lines += [f"    {_inline(_fields_of(owner))}," for owner in item.owners]
    return "\n".join((*lines, "]", ""))
