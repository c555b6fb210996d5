"""A plan as the kernel reads it: arrays of bytes, made out of sight.

Pure: nothing is written here, see tables.py.
Twin: bpf/maps.h.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from remainder.choice import ANY_ADDRESS, Match
from remainder.flow import Address
from remainder.forwarding import METHODS
from remainder.kernel import abi, index
from remainder.kernel.abi import Feature, OwnerFlag, ServiceFlag
from remainder.kernel.layout import Capacity
from remainder.plan import Plan, PlannedChoice
from remainder.selection import Table
from remainder.selection.siphash import initial_state

_MOST_SPARE_SLOTS: Final = 1 << 22  # 8 MiB
# As plain numbers: an enum's own arithmetic takes longer than all the rest of an entry.
_HASHED: Final = int(ServiceFlag.HASHED)
_FORWARD_FRAGMENTS: Final = int(ServiceFlag.FORWARD_FRAGMENTS)
_DROP_FRAGMENTS: Final = int(ServiceFlag.DROP_FRAGMENTS)
_FLAGS_AT: Final = 48  # bits: behind the six bytes of the MAC address
_RESOLVED: Final = int(OwnerFlag.RESOLVED) << _FLAGS_AT
_SELF: Final = int(OwnerFlag.SELF) << _FLAGS_AT

_AGE: Final = 1 << 28
"""In the match of an earlier calculation, above the family, so that no packet finds it first."""

OwnerName = tuple[str, str]
"""(service name, server name): who a counter belongs to."""


@dataclass(frozen=True, eq=False)
class Image:
    """What one half of the tables will hold."""

    seeds: npt.NDArray[np.uint64]
    services: npt.NDArray[np.void]  # abi.SERVICE, shape (capacity.services,)
    slots: npt.NDArray[np.uint16]  # the owner of each, of all services
    owners: npt.NDArray[np.void]  # abi.OWNER
    owner_names: tuple[OwnerName, ...]
    addresses: tuple[Address | None, ...]  # of the owners; None for members of a cluster
    secret: tuple[int, int, int, int]


def features_of(plan: Plan) -> Feature:
    """What code the program needs for a plan."""
    features = Feature.ECHO if plan.role == "balancer" else Feature(0)
    for planned in plan.choices:
        match = planned.choice.match
        features |= Feature.IPV4 if match.address.version == 4 else Feature.IPV6
        for one in plan.asked(planned):
            features |= Feature.HASH if one.key.hashed else Feature.SUM
        if match.any_address:
            features |= Feature.ANY_ADDRESS
        elif match.port is None and match.protocol is not None:
            features |= Feature.ANY_PORT
        elif match.port is not None and match.protocol is None:
            features |= Feature.ANY_PROTOCOL
    return features


def need_of(plan: Plan) -> Capacity:
    """The least room that a plan needs."""
    calculations = [one for planned in plan.choices for one in plan.asked(planned)]
    entries = len(calculations) + len(_markers(plan))
    owners = sum(len(one.owners) for one in calculations)
    places = max(_power_of_two(2 * entries), 16)
    return Capacity(
        buckets=max(places // 4, 2),
        services=places,
        slots=sum(one.slots for one in calculations),
        owners=owners,
        counters=owners,
    )


def capacity_for(plan: Plan) -> Capacity:
    """Room for a plan, and for growing without a new program: to twice the slots while few."""
    need = need_of(plan)
    return Capacity(
        buckets=max(need.buckets, 64),
        services=max(need.services, 256),
        slots=max(need.slots + min(need.slots, _MOST_SPARE_SLOTS), 131_072),
        owners=max(2 * need.owners, 256),
        counters=max(4 * need.counters, 1024),
    )


def image_of(
    plan: Plan,
    capacity: Capacity,
    *,
    counters: Mapping[OwnerName, int],
    macs: Mapping[Address, bytes],
) -> Image:
    """Lay a plan out for maps of this capacity (which must hold it)."""
    entries: list[Entry] = []
    tables: list[Table] = []
    owner_names: list[OwnerName] = []
    addresses: list[Address | None] = []
    first_slot = 0
    for planned in plan.choices:
        calculations = plan.asked(planned)
        for age, one in enumerate(calculations):
            entry = _entry(one, first_slot=first_slot, first_owner=len(owner_names))
            chances = len(calculations) - 1 - age
            entries.append(entry._replace(match=entry.match + age * _AGE, chances=chances))
            tables.append(one.table)
            first_slot += one.slots
            owner_names += [(one.name, owner.name) for owner in one.owners]
            addresses += [owner.address for owner in one.owners]
    entries += _markers(plan)
    seeds, places = index.build(
        [index.IndexKey(entry.vip_hi, entry.vip_lo, entry.match) for entry in entries],
        buckets=capacity.buckets,
        places=capacity.services,
    )
    for number, entry in enumerate(entries):
        if entry.chances:  # the calculation before it is the next of the entries
            entries[number] = entry._replace(earlier=int(places[number + 1]))
    services = np.zeros(capacity.services, dtype=abi.SERVICE)
    services[places] = np.array(entries, dtype=abi.SERVICE)
    return Image(
        seeds=np.asarray(seeds, dtype=np.uint64),
        services=services,
        slots=np.concatenate(tables),
        owners=_owners(owner_names, addresses, counters=counters, macs=macs, node=plan.node),
        owner_names=tuple(owner_names),
        addresses=tuple(addresses),
        secret=initial_state(plan.secret) if plan.secret else (0, 0, 0, 0),
    )


def allocate_counters(
    plan: Plan, before: Mapping[OwnerName, int]
) -> tuple[dict[OwnerName, int], set[int]]:
    """(counter of each owner, counters newly given out, to be set to zero).

    An owner that was there before keeps its counter, wherever it stands in the file.
    None that was in use before is given to another: packets still count there until
    the plan is published.  Maps of ``capacity_for`` have room for both.
    """
    names = list(
        dict.fromkeys(
            (planned.name, owner.name)
            for planned in plan.choices
            for one in plan.asked(planned)
            for owner in one.owners
        )
    )
    kept = {name: before[name] for name in names if name in before}
    used = set(before.values())
    free = (number for number in range(len(names) + len(used)) if number not in used)
    fresh = {name: next(free) for name in names if name not in kept}
    return kept | fresh, set(fresh.values())


def _power_of_two(number: int) -> int:
    return 1 << max(number - 1, 1).bit_length()


def _vip(address: Address) -> tuple[int, int]:
    """(hi, lo) raw words of an address."""
    if address.version == 4:
        return 0, abi.raw(address.packed)
    return abi.raw(address.packed[:8]), abi.raw(address.packed[8:])


class Entry(NamedTuple):
    """A service as the kernel finds it: the fields of ``abi.SERVICE``, in its order."""

    vip_hi: int
    vip_lo: int
    match: int
    slots: int = 0
    first_slot: int = 0
    first_owner: int = 0
    src_ip_mask: int = 0
    dst_ip_mask: int = 0
    ports_mask: int = 0
    protocol_mask: int = 0
    flags: int = 0
    method: int = 0
    chances: int = 0
    power: tuple[int, int, int] = (0, 0, 0)
    earlier: int = 0


def _entry(planned: PlannedChoice, *, first_slot: int, first_owner: int) -> Entry:
    choice, match, fields = planned.choice, planned.choice.match, planned.key.fields
    vip_hi, vip_lo = _vip(match.address)
    ones = 0xFFFF_FFFF
    power = pow(2, 32, planned.slots)
    return Entry(
        vip_hi,
        vip_lo,
        abi.match_of(
            port=match.port or 0,
            protocol=match.protocol or 0,
            version=match.address.version,
        ),
        slots=planned.slots,
        first_slot=first_slot,
        first_owner=first_owner,
        src_ip_mask=ones if "src_ip" in fields else 0,
        dst_ip_mask=ones if "dst_ip" in fields else 0,
        ports_mask=(0x0000_FFFF if "src_port" in fields else 0)
        | (0xFFFF_0000 if "dst_port" in fields else 0),
        protocol_mask=0xFF if "protocol" in fields else 0,
        flags=(_HASHED if planned.key.hashed else 0)
        | (_FORWARD_FRAGMENTS if choice.fragments == "forward" else 0),
        method=METHODS[choice.method].number,
        power=(power, power**2 % planned.slots, power**3 % planned.slots),
    )


def _marker(address: Address, *, protocol: int, flags: int) -> Entry:
    match = abi.match_of(port=0, protocol=protocol, version=address.version)
    return Entry(*_vip(address), match, flags=flags)


def _owners(
    names: Sequence[OwnerName],
    addresses: Sequence[Address | None],
    *,
    counters: Mapping[OwnerName, int],
    macs: Mapping[Address, bytes],
    node: str | None,
) -> npt.NDArray[np.void]:
    """The array of ``abi.OWNER``, made as its words: MAC and flags, then the counter."""
    found = [macs.get(address) if address is not None else None for address in addresses]
    words = np.zeros((len(names), abi.OWNER.itemsize // 8), dtype="<u8")
    words[:, 0] = [abi.raw(mac) | _RESOLVED if mac is not None else 0 for mac in found]
    words[:, 1] = [counters[name] for name in names]
    if node is not None:
        words[[name[1] == node for name in names], 0] |= _SELF
    return words.view(abi.OWNER).reshape(len(names))


def _markers(plan: Plan) -> list[Entry]:
    """Entries without slots, for VIPs that no any/any service covers.

    (VIP, any, any) makes the VIP known; (VIP, any, protocol) makes fragments
    known that may belong to a service with a port (docs/packets.md, section 7).
    """
    with_port: dict[Address, set[int | None]] = {vip: set() for vip in plan.vips}
    for address, port, protocol in plan.by_match:
        if port is not None:
            with_port.setdefault(address, set()).add(protocol)
    markers = []
    for address in sorted(plan.vips, key=lambda vip: (vip.version, vip)):
        any_match = Match(address, None, None), Match(ANY_ADDRESS[address.version], None, None)
        if any(match in plan.by_match for match in any_match):
            continue
        protocols = with_port[address]
        drop = _DROP_FRAGMENTS if None in protocols else 0
        markers.append(_marker(address, protocol=0, flags=drop))
        markers += [
            _marker(address, protocol=protocol, flags=_DROP_FRAGMENTS)
            for protocol in sorted(protocol for protocol in protocols if protocol is not None)
            if Match(address, None, protocol) not in plan.by_match
        ]
    return markers
