"""A plan as the kernel reads it: arrays of bytes, made out of sight.

Pure: nothing is written here, see tables.py.
Twin: bpf/maps.h.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from remainder.flow import Address
from remainder.forwarding import METHODS
from remainder.kernel import abi, index
from remainder.kernel.abi import Feature, OwnerFlag, ServiceFlag
from remainder.kernel.layout import Capacity
from remainder.plan import ANY_ADDRESS, Plan, PlannedService
from remainder.selection.siphash import initial_state

_MOST_SPARE_SLOTS: Final = 1 << 22  # 8 MiB

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
    for planned in plan.services:
        service = planned.service
        features |= Feature.IPV4 if service.ip.version == 4 else Feature.IPV6
        features |= Feature.HASH if planned.key.hashed else Feature.SUM
        if service.ip.is_unspecified:
            features |= Feature.ANY_ADDRESS
        elif service.port == "any" and service.protocol != "any":
            features |= Feature.ANY_PORT
        elif service.port != "any" and service.protocol == "any":
            features |= Feature.ANY_PROTOCOL
    return features


def need_of(plan: Plan) -> Capacity:
    """The least room that a plan needs."""
    entries = len(plan.services) + len(_markers(plan))
    owners = sum(len(planned.servers) for planned in plan.services)
    places = max(_power_of_two(2 * entries), 16)
    return Capacity(
        buckets=max(places // 4, 2),
        services=places,
        slots=sum(planned.slots for planned in plan.services),
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
    entries = [_entry(planned) for planned in plan.services]
    owner_names: list[OwnerName] = []
    addresses: list[Address | None] = []
    first_slot = 0
    for entry, planned in zip(entries, plan.services, strict=True):
        entry["first_slot"], entry["first_owner"] = first_slot, len(owner_names)
        first_slot += planned.slots
        owner_names += [(planned.name, server.name) for server in planned.servers]
        addresses += [server.ip for server in planned.servers]
    entries += _markers(plan)
    seeds, places = index.build(
        [
            index.IndexKey(int(entry["vip_hi"]), int(entry["vip_lo"]), int(entry["match"]))
            for entry in entries
        ],
        buckets=capacity.buckets,
        places=capacity.services,
    )
    services = np.zeros(capacity.services, dtype=abi.SERVICE)
    for entry, place in zip(entries, places, strict=True):
        services[place] = entry
    owners = np.zeros(len(owner_names), dtype=abi.OWNER)
    for number, (name, address) in enumerate(zip(owner_names, addresses, strict=True)):
        owners[number]["counter"] = counters[name]
        if address is not None and address in macs:
            owners[number]["mac"] = np.frombuffer(macs[address], dtype=np.uint8)
            owners[number]["flags"] |= OwnerFlag.RESOLVED
        if plan.node is not None and name[1] == plan.node:
            owners[number]["flags"] |= OwnerFlag.SELF
    return Image(
        seeds=np.asarray(seeds, dtype=np.uint64),
        services=services,
        slots=np.concatenate([planned.table for planned in plan.services]),
        owners=owners,
        owner_names=tuple(owner_names),
        addresses=tuple(addresses),
        secret=initial_state(plan.secret) if plan.secret else (0, 0, 0, 0),
    )


def allocate_counters(
    plan: Plan, before: Mapping[OwnerName, int]
) -> tuple[dict[OwnerName, int], set[int]]:
    """(counter of each owner, counters newly given out, to be set to zero).

    An owner that was there before keeps its counter, wherever it stands in the file.
    """
    names = [(planned.name, server.name) for planned in plan.services for server in planned.servers]
    kept = {name: before[name] for name in names if name in before}
    used = set(kept.values())
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


def _blank(address: Address, *, port: int, protocol: int) -> np.ndarray:
    entry = np.zeros((), dtype=abi.SERVICE)
    entry["vip_hi"], entry["vip_lo"] = _vip(address)
    entry["match"] = abi.match_of(port=port, protocol=protocol, version=address.version)
    return entry


def _entry(planned: PlannedService) -> np.ndarray:
    service, key = planned.service, planned.key
    entry = _blank(service.ip, port=service.port_number or 0, protocol=service.protocol_number or 0)
    ones = 0xFFFF_FFFF
    entry["slots"] = planned.slots
    entry["src_ip_mask"] = ones if "src_ip" in key.fields else 0
    entry["dst_ip_mask"] = ones if "dst_ip" in key.fields else 0
    entry["ports_mask"] = (0x0000_FFFF if "src_port" in key.fields else 0) | (
        0xFFFF_0000 if "dst_port" in key.fields else 0
    )
    entry["protocol_mask"] = 0xFF if "protocol" in key.fields else 0
    entry["flags"] = (ServiceFlag.HASHED if key.hashed else 0) | (
        ServiceFlag.FORWARD_FRAGMENTS if service.fragments == "forward" else 0
    )
    entry["method"] = METHODS[service.method].number
    entry["power"] = [pow(2, 32 * limb, planned.slots) for limb in (1, 2, 3)]
    return entry


def _markers(plan: Plan) -> list[np.ndarray]:
    """Entries without slots, for VIPs that no any/any service covers.

    (VIP, any, any) makes the VIP known; (VIP, any, protocol) makes fragments
    known that may belong to a service with a port (docs/packets.md, section 7).
    """
    with_port: dict[Address, set[int | None]] = {vip: set() for vip in plan.vips}
    for address, port, protocol in plan.by_claim:
        if port is not None:
            with_port.setdefault(address, set()).add(protocol)
    markers = []
    for address in sorted(plan.vips, key=lambda vip: (vip.version, vip)):
        anything = (address, None, None), (ANY_ADDRESS[address.version], None, None)
        if any(claim in plan.by_claim for claim in anything):
            continue
        protocols = with_port[address]
        marker = _blank(address, port=0, protocol=0)
        if None in protocols:
            marker["flags"] = ServiceFlag.DROP_FRAGMENTS
        markers.append(marker)
        for protocol in sorted(protocol for protocol in protocols if protocol is not None):
            if (address, None, protocol) not in plan.by_claim:
                marker = _blank(address, port=0, protocol=protocol)
                marker["flags"] = ServiceFlag.DROP_FRAGMENTS
                markers.append(marker)
    return markers
