"""Edits of a file as values: owners come and go, and the earlier calculation is remembered.

Rule: pure; rewriting.py makes the same edit in the text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, TypeVar

from msgspec.structs import replace

from remainder.change.chance import same_calculation
from remainder.choice import choice_of
from remainder.config import (
    MAX_EARLIER,
    Cluster,
    Config,
    EarlierServers,
    Member,
    ReturnPath,
    Router,
    Server,
    Service,
)
from remainder.errors import ConfigError
from remainder.flow import PROTOCOLS
from remainder.homes import free_slot
from remainder.plan import plan_choice
from remainder.selection.key import Key

Kind = Literal["service", "cluster", "return_path"]
Section = Service | Cluster | ReturnPath
SectionT = TypeVar("SectionT", Service, Cluster, ReturnPath)
Listed = Server | Member | Router

OWNERS: Final = {"service": "servers", "cluster": "members", "return_path": "routers"}


def kind_of(section: Section) -> Kind:
    """The word for a section in the file."""
    match section:
        case Service():
            return "service"
        case Cluster():
            return "cluster"
    return "return_path"


def sections_of(config: Config) -> list[Section]:
    """Everything in which an owner is chosen."""
    return [*config.service, *config.cluster, *config.return_path]


def section_named(config: Config, name: str | None) -> Section:
    """The section of this name, as ``web`` or ``service.web``; None: the only one there is.

    Raises ConfigError if there is none, or more than one.
    """
    every = sections_of(config)
    found = [one for one in every if name in (None, one.name, f"{kind_of(one)}.{one.name}")]
    if len(found) == 1:
        return found[0]
    listed = ", ".join(f"{kind_of(one)}.{one.name}" for one in found or every)
    if name is None:
        raise ConfigError("", f"the file has several sections; choose one with --in: {listed}")
    raise ConfigError(
        "--in", f"{name!r} is {'ambiguous' if found else 'not in the file'}; choose one of {listed}"
    )


def sections_with(config: Config, owner: str, name: str | None) -> list[Section]:
    """The sections that list an owner: all of one kind, or the one of this name.

    Raises ConfigError if there are none, or sections of several kinds.
    """
    if name is not None:
        section = section_named(config, name)
        _listed(section, owner)
        return [section]
    found = [one for one in sections_of(config) if owner in {item.name for item in one.owners}]
    if not found:
        names = dict.fromkeys(item.name for one in sections_of(config) for item in one.owners)
        raise ConfigError("", f"{owner!r} is not in the file; it has {', '.join(names)}")
    if len({kind_of(one) for one in found}) > 1:
        listed = ", ".join(f"{kind_of(one)}.{one.name}" for one in found)
        raise ConfigError("", f"{owner!r} is in {listed}; choose one with --in")
    return found


def with_sections(
    config: Config, sections: Sequence[Section], change: Callable[[Section], Section]
) -> Config:
    """The file with some sections changed, each with its earlier calculation remembered."""
    lists: dict[str, list[Any]] = {
        kind: [
            remembering(one, change(one)) if any(one is it for it in sections) else one
            for one in getattr(config, kind)
        ]
        for kind in OWNERS
    }
    return replace(config, **lists)


# -- what can be changed -----------------------------------------------------------------


def add(section: Section, owner: Listed) -> Section:
    """One more owner, at the end; in a modulo table with slots it gets free ones."""
    kind = kind_of(section)
    if owner.name in {one.name for one in section.owners}:
        raise ConfigError("", f"{owner.name!r} is already in {kind}.{section.name}")
    if section.table == "modulo" and section.slots is not None and owner.slot is None:
        slot = free_slot(section.owners, section.slots, weight=owner.weight)
        if slot is None:
            raise ConfigError(
                "",
                f"{kind}.{section.name} has no {owner.weight} free slots in a row; raise slots, "
                f"which moves most flows, or remove a {OWNERS[kind][:-1]}",
            )
        owner = replace(owner, slot=slot)
    return _with_owners(section, [*section.owners, owner])


def remove(section: Section, name: str) -> Section:
    """One owner less."""
    _listed(section, name)
    return _with_owners(section, [owner for owner in section.owners if owner.name != name])


def weigh(section: Section, name: str, weight: int) -> Section:
    """Another weight for an owner; 0 drains it."""
    _listed(section, name)
    return _with_owners(
        section,
        [
            replace(owner, weight=weight) if owner.name == name else owner
            for owner in section.owners
        ],
    )


def rekey(section: Section, key: Key | None, *, table: str | None, slots: int | None) -> Section:
    """Another formula; a new table has its default slots if none are given."""
    changed: dict[str, Any] = {}
    if key is not None:
        changed["key"] = key
    if table is not None and table != section.table:
        changed |= {"table": table, "slots": slots}
    elif slots is not None:
        changed["slots"] = slots
    if changed.get("table", section.table) != "modulo" or (
        changed.get("slots", section.slots) is None
    ):
        changed[OWNERS[kind_of(section)]] = [replace(one, slot=None) for one in section.owners]
    return replace(section, **changed)


def forget(config: Config, names: Sequence[Section], keep: int = 0) -> Config:
    """Forget the earlier calculations of some sections, all but the newest ``keep``."""
    lists: dict[str, list[Any]] = {
        kind: [
            replace(one, before=one.before[:keep]) if any(one is it for it in names) else one
            for one in getattr(config, kind)
        ]
        for kind in ("service", "cluster")
    }
    return replace(config, **lists)


# -- the earlier calculation -----------------------------------------------------------------


def remembering(old: Section, new: Section) -> Section:
    """The new section with the calculation of the old one in ``before``, if that changed.

    What answers like the new one or like the old one is not listed twice.  Raises
    ConfigError if there would be too many.
    """
    if not isinstance(new, Service) or not isinstance(old, Service):
        return new  # members and senders do not ask earlier calculations
    if new.protocol not in (PROTOCOLS["tcp"], None):
        return new  # servers recognise sessions of TCP alone
    was, now = plan_choice(choice_of(old)), plan_choice(choice_of(new))
    if same_calculation(was, now):
        return new
    rest = [
        item
        for item, planned in zip(old.before, was.before, strict=True)
        if not same_calculation(planned, was) and not same_calculation(planned, now)
    ]
    if len(rest) == MAX_EARLIER:
        raise ConfigError(
            "",
            f"{kind_of(old)}.{old.name} already lists {MAX_EARLIER} earlier calculations, which is "
            f"the maximum; run `remainder settle` first, or wait until their sessions have ended",
        )
    return replace(new, before=[_earlier(old), *rest])


def _earlier(section: Service) -> EarlierServers:
    return EarlierServers(
        key=section.key, table=section.table, slots=section.slots, servers=section.servers
    )


def _with_owners(section: Section, owners: Sequence[Listed]) -> Section:
    if not any(owner.weight for owner in owners):
        kind = kind_of(section)
        raise ConfigError(
            "",
            f"no {OWNERS[kind][:-1]} of {kind}.{section.name} would have a weight; "
            f"add another first",
        )
    return replace(section, **{OWNERS[kind_of(section)]: list(owners)})


def _listed(section: Section, name: str) -> None:
    names = [owner.name for owner in section.owners]
    if name not in names:
        raise ConfigError(
            "", f"{name!r} is not in {kind_of(section)}.{section.name}; it has {', '.join(names)}"
        )
