"""The other MAC addresses of this machine, and which of them the balancer answers for.

keepalived with ``use_vmac``, bonds in the modes balance-tlb and balance-alb, and a second card
on the segment give one machine several: frames to some of them are the balancer's, and a VIP
that arrives with any other is nowhere balanced, which must be seen.
Rule: pure; links.py reads what it is decided from.
Twin: bpf/own.h.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from remainder.flow import Address
from remainder.kernel import abi
from remainder.kernel.links import Link
from remainder.kernel.netlink import Interface

_SPREADING_BONDS: Final = frozenset({5, 6})
"""balance-tlb and balance-alb: every slave keeps, and may answer with, its own address."""

_VRRP: Final = (bytes.fromhex("00005e0001"), bytes.fromhex("00005e0002"))
"""RFC 9568, section 7.3: of whoever is active, whatever machine that is."""


@dataclass(frozen=True, slots=True)
class OwnMacs:
    """Other addresses than the interface's own, in the order of their importance."""

    accepted: tuple[bytes, ...] = ()
    """what is sent to them is for the balancer"""
    strange: tuple[bytes, ...] = ()
    """a VIP must not arrive with them"""
    near: frozenset[int] = frozenset()
    """the numbers of the interfaces above, and of the slaves: what changes there may matter"""

    @property
    def words(self) -> list[int]:
        """As ``live.own_macs``; what finds no room is left out, the least important first."""
        kinds = ((self.accepted, abi.OwnMac.ACCEPTED), (self.strange, abi.OwnMac.STRANGE))
        words = [abi.raw(mac) | kind << abi.OwnMac.SHIFT for macs, kind in kinds for mac in macs][
            : abi.OWN_MACS
        ]
        return words + [0] * (abi.OWN_MACS - len(words))


def own_macs_of(
    links: Iterable[Link], interface: Interface, vips: Collection[Address], *, segment: int
) -> OwnMacs:
    """What a balancer on an interface must know.

    ``segment`` is the interface with the addresses of the segment: the same, or the VLAN
    interface above it.
    """
    accepted, near, far = list[bytes](), list[bytes](), list[bytes]()
    known = list(links)
    here = next((link for link in known if link.index == interface.index), None)
    for link in known:
        if not any(link.mac) or link.mac == interface.mac or len(link.mac) != len(interface.mac):
            continue
        carries = not link.addresses.isdisjoint(vips)
        if _is_ours(link, here, carries=carries, segment=segment):
            accepted.append(link.mac)
        elif link.mac[:5] in _VRRP and not carries:
            continue  # another machine may have it now
        else:
            is_near = interface.index in (link.below, link.master)
            (near if is_near else far).append(link.mac)
    strange = [mac for mac in dict.fromkeys(near + far) if mac not in accepted]
    around = (interface.index, segment)
    return OwnMacs(
        tuple(dict.fromkeys(accepted)),
        tuple(strange),
        frozenset(link.index for link in known if {link.below, link.master} & {*around}),
    )


def _is_ours(link: Link, here: Link | None, *, carries: bool, segment: int) -> bool:
    """A slave of a bond that spreads, the VLAN interface itself, or a macvlan that has a VIP."""
    if here is None:
        return False
    if link.master == here.index and here.kind == "bond":
        return here.bond_mode in _SPREADING_BONDS
    if link.index == segment:
        return True
    return link.kind == "macvlan" and link.below in (here.index, segment) and carries
