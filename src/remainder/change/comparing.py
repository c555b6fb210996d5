"""What is the same before and after: keys of choices, and machines.

Rule: pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from remainder.choice import Choice, Match, Owner
from remainder.flow import Address
from remainder.selection.key import Key


def key_offset(one: Choice, other: Choice, *, same_secret: bool) -> int | None:
    """What the key of ``other`` has more than that of ``one``, for every flow; None: it depends.

    Fields that the match fixes (the VIP, a port, a protocol) are constants.
    """
    if one.key.hashed or other.key.hashed:
        same = one.key.hashed == other.key.hashed and {*one.key.fields} == {*other.key.fields}
        return 0 if same and same_secret else None
    fixed = constants(one.match)
    if {*one.key.fields} - fixed.keys() != {*other.key.fields} - fixed.keys():
        return None
    return constant_of(other.key, one.match) - constant_of(one.key, one.match)


def constants(match: Match) -> Mapping[str, int]:
    """The fields that are the same for all flows of a choice."""
    known = {
        "dst_ip": None if match.any_address else int(match.address),
        "dst_port": match.port,
        "protocol": match.protocol,
    }
    return {name: number for name, number in known.items() if number is not None}


def constant_of(key: Key, match: Match) -> int:
    """What the constant fields add to a sum."""
    return sum(number for name, number in constants(match).items() if name in key.fields)


def machine(owner: Owner) -> str:
    """What an owner is known by across files."""
    return owner.name if owner.address is None else _text(owner.address)


@lru_cache(maxsize=1 << 16)
def _text(address: Address) -> str:
    """Cached: a machine is asked for many times."""
    return str(address)
