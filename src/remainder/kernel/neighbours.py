"""Whom the kernel knows on a segment, and keeping it so.

Law: nothing is taken that was not given.  What we add carries our number, and
an operator's permanent entry is used as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final

from pyroute2.netlink.exceptions import NetlinkError

from remainder.errors import HostError
from remainder.flow import Address
from remainder.kernel.netlink import FAMILY, OURS, mac_from, netlink

_NOARP: Final = 0x40
_PERMANENT: Final = 0x80
_VALID: Final = 0x02 | 0x04 | 0x08 | 0x10 | _NOARP | _PERMANENT  # reachable, stale, delay, probe
_NTF_USE: Final = 0x01
_NTF_EXT_LEARNED: Final = 0x10
_EXT_MANAGED: Final = 0x01
_GROUP_BIT: Final = 1  # of the first byte of a MAC address


@dataclass(frozen=True, slots=True)
class Neighbour:
    """What the kernel knows of an address on the segment."""

    address: Address
    mac: bytes | None
    valid: bool
    managed: bool = False
    """Kept resolved by the kernel, as ``keep_resolved`` asks for."""
    permanent: bool = False
    """Set by an operator, or by another control plane (EVPN), which keeps it."""
    ours: bool = False

    @property
    def is_kept(self) -> bool:
        """Whether nobody has to be asked for it again."""
        return self.managed or self.permanent

    def believable(self, own_mac: bytes) -> bytes | None:
        """Its MAC address, if one can be sent to: no group, not zero, not our own."""
        mac = self.mac
        if not self.valid or not mac or mac[0] & _GROUP_BIT or not any(mac) or mac == own_mac:
            return None
        return mac


def keep_resolved(index: int, addresses: Iterable[Address]) -> None:
    """Ask the kernel to resolve these neighbours and to keep them so (managed entries).

    As learned from outside they do not count towards gc_thresh3, so there may be
    more than 1,024.  An older kernel takes the request and forgets to keep them:
    ``Neighbour.managed`` tells.  Raises HostError for the first that is refused, when
    all others are kept.
    """
    refusals: list[HostError] = []
    with netlink() as route:
        for address in addresses:
            try:
                route.neigh(
                    "replace",
                    dst=str(address),
                    ifindex=index,
                    state=0,
                    flags=_NTF_USE | _NTF_EXT_LEARNED,
                    NDA_FLAGS_EXT=_EXT_MANAGED,
                    NDA_PROTOCOL=OURS,
                    family=FAMILY[address.version],
                )
            except NetlinkError as error:
                cure = "; is IPv6 disabled on the interface?" if address.version == 6 else ""
                refusals.append(
                    HostError(
                        f"the kernel refused to keep {address} resolved ({error.args[-1]}){cure}"
                    )
                )
    if refusals:
        raise refusals[0]


def forget(index: int, addresses: Iterable[Address]) -> None:
    """Undo keep_resolved; what somebody else has put in the place of ours stays."""
    found = neighbours(index)
    with netlink() as route:
        for address in addresses:
            if address not in found or not found[address].ours:
                continue
            try:
                route.neigh("del", dst=str(address), ifindex=index, family=FAMILY[address.version])
            except NetlinkError:
                continue  # gone already, or its interface is


def neighbours(index: int) -> dict[Address, Neighbour]:
    """What the kernel knows of the segment of an interface."""
    with netlink() as route:
        found = (neighbour_of(message) for message in route.get_neighbours(ifindex=index))
        return {neighbour.address: neighbour for neighbour in found if neighbour}


def neighbour_of(message: Any) -> Neighbour | None:
    """What a message of the kernel says of a neighbour."""
    destination = message.get("dst")
    if not destination or message["family"] not in FAMILY.values():
        return None  # a bridge's table of MAC addresses, say
    state, managed = message["state"], bool((message.get("flags_ext") or 0) & _EXT_MANAGED)
    is_marked, learned = message.get("protocol") == OURS, message["flags"] & _NTF_EXT_LEARNED
    by_others = bool(learned and state & _VALID) and not managed and not is_marked
    permanent = bool(state & (_PERMANENT | _NOARP)) or by_others
    return Neighbour(
        address=ip_address(destination),
        mac=mac_from(message.get("lladdr")),
        valid=bool(state & _VALID),
        managed=managed,
        permanent=permanent,
        ours=is_marked and not permanent,
    )
