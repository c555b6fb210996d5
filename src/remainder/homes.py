"""Which slots are an owner's own: ``slot`` and ``slots`` of a modulo table.

Claims: 13, 17 (the formulas keep their N when servers change).
The number stands in the file, not in the memory of a node: an owner that returns finds
its slots again, whoever reads the file, and since when.
Rule: pure; a mistake is a ConfigError that names the place.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from remainder.config import (
    Cluster,
    EarlierMember,
    EarlierMembers,
    EarlierServers,
    Member,
    ReturnPath,
    Router,
    Server,
    Service,
)
from remainder.errors import ConfigError

Choosing = Service | Cluster | ReturnPath | EarlierServers | EarlierMembers
Owning = Server | Member | Router | EarlierMember


def check_homes(where: str, choice: Choosing, owners: str) -> None:
    """Every owner of a modulo table with slots has some of its own; no other owner does."""
    kind = owners.removesuffix("s")
    slots = choice.slots if choice.table == "modulo" else None
    if slots is not None and all(owner.slot is None for owner in choice.owners):
        raise ConfigError(
            f"{where}.slots",
            f"slots is {slots}, but no {kind} names its slot; give each {kind} one, like "
            f"slot = 0, or remove slots, or use table = 'maglev'",
        )
    taken: dict[int, str] = {}
    listed: Sequence[Owning] = choice.owners
    for number, owner in enumerate(listed):
        place = f"{where}.{owners}[{number}].slot"
        if slots is None:
            if owner.slot is not None:
                raise ConfigError(
                    place,
                    f"slot is {owner.slot}, but only a modulo table with slots has fixed slots; "
                    f"remove slot, or use table = 'modulo' with slots",
                )
            continue
        own = own_slots(owner)
        if not own:
            raise ConfigError(
                place,
                f"slot is missing; every {kind} of a modulo table with slots needs one; "
                f"{_advice(choice.owners, slots)}",
            )
        if own.stop > slots:
            raise ConfigError(
                place,
                f"slot is {own.start} and weight {owner.weight}, which ends at slot "
                f"{own.stop - 1}; the last one is {slots - 1}, so lower them or raise slots",
            )
        for slot in own:
            if slot in taken:
                raise ConfigError(
                    place,
                    f"slot {slot} already belongs to {kind} {taken[slot]!r}; "
                    f"{_advice(choice.owners, slots)}",
                )
        taken.update(dict.fromkeys(own, owner.name))


def own_slots(owner: Owning) -> range:
    """The slots of an owner's own; a weight of 0 keeps the first one for its return."""
    if owner.slot is None:
        return range(0)
    return range(owner.slot, owner.slot + max(owner.weight, 1))


def free_slot(owners: Iterable[Owning], slots: int, *, weight: int = 1) -> int | None:
    """The first of ``weight`` slots in a row that are nobody's own; None if there are none."""
    taken = {slot for owner in owners for slot in own_slots(owner)}
    run = 0
    for slot in range(slots):
        run = 0 if slot in taken else run + 1
        if run == max(weight, 1):
            return slot - run + 1
    return None


def _advice(owners: Iterable[Owning], slots: int) -> str:
    free = free_slot(owners, slots)
    return "raise slots" if free is None else f"slot = {free} is free"
