"""What a role wants of its host, what stands there, and the steps between the two.

``wanted`` and ``mend`` are pure, ``found`` reads; upkeep.py applies and tells.  A
new wish is a field of ``Footing``, a line in ``wanted`` and one in ``mend``.

Law: level, not edge.  A step only adds what is missing; what is no longer wanted
is taken back when a change is finished, by whoever has put it there.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

from remainder.fleet import Part
from remainder.flow import Address
from remainder.kernel.host import Host
from remainder.kernel.neighbours import Neighbour
from remainder.kernel.netlink import Interface
from remainder.kernel.own_macs import OwnMacs
from remainder.kernel.plane import Plane
from remainder.roles import ROLES
from remainder.roles.segment import addresses_of

Networks = frozenset[IPv4Network | IPv6Network]


@dataclass(frozen=True, kw_only=True)
class Footing:
    """What a role stands on; of sets, what one has and the other lacks is the difference."""

    attached: bool = True
    """Its program, and what a member has before its stack."""
    pinned: bool = True
    own_mac: bytes
    """As the program knows it."""
    on_link: Networks = frozenset()
    """The ranges of the segment, as the program knows them."""
    own_macs: OwnMacs = field(default_factory=OwnMacs)
    """The other MAC addresses of this machine, as the program knows them."""
    hears: frozenset[bytes] = frozenset()
    """MAC addresses besides its own that the interface takes frames to."""
    neighbours: frozenset[Address] = frozenset()
    """Kept resolved, by us or by an operator."""
    vips: frozenset[Address] = frozenset()
    """On the interface."""


class Step(enum.Enum):
    """What can be missing, in the order it is mended."""

    ATTACH = "program"
    PIN = "pins"
    OWN_MAC = "own MAC"
    OWN_MACS = "other own MACs"
    ON_LINK = "on-link ranges"
    LISTEN = "cluster MAC"
    ASSIGN = "VIPs"
    RESOLVE = "neighbours"


@dataclass(frozen=True)
class Told:
    """What a program was told last."""

    own_mac: bytes
    on_link: Networks = frozenset()
    own_macs: OwnMacs = field(default_factory=OwnMacs)


def wanted(
    part: Part, interface: Interface, networks: Networks, own_macs: OwnMacs | None = None
) -> Footing:
    """What a part of the file needs on an interface with these ranges."""
    mac = ROLES[part.role].hears(part)
    return Footing(
        own_mac=interface.mac,
        on_link=networks,
        own_macs=own_macs or OwnMacs(),
        hears=frozenset() if mac is None else frozenset({mac}),
        # A link that is down loses what it is given, and tells when it is up.
        vips=part.plan.vips if part.assign_vips and interface.up else frozenset(),
        neighbours=frozenset(addresses_of(part.plan)) if interface.carrier else frozenset(),
    )


def found(  # noqa: PLR0913  (each is a fact of its own)
    host: Host,
    part: Part,
    interface: Interface,
    plane: Plane | None,
    *,
    told: Told,
    known: Collection[Neighbour],
) -> Footing:
    """What stands there now, and whom the kernel knows.  Raises HostError if it cannot be read."""
    mac = ROLES[part.role].hears(part)
    return Footing(
        attached=plane is not None and plane.ifindex == interface.index,
        pinned=plane is not None and plane.is_pinned,
        own_mac=told.own_mac,
        on_link=told.on_link,
        own_macs=told.own_macs,
        hears=frozenset({mac} if mac is not None and host.hears(interface, mac) else ()),
        vips=frozenset(host.addresses_on(interface.segment)),
        neighbours=frozenset(neighbour.address for neighbour in known if neighbour.is_kept),
    )


def mend(wanted: Footing, found: Footing) -> Iterator[tuple[Step, frozenset[Address]]]:
    """The steps from what stands to what is wanted, with the addresses they are about."""
    nobody = frozenset[Address]()
    if not found.attached:
        yield Step.ATTACH, nobody
    elif not found.pinned:
        yield Step.PIN, nobody
    if wanted.own_mac != found.own_mac:
        yield Step.OWN_MAC, nobody
    if wanted.own_macs != found.own_macs:
        yield Step.OWN_MACS, nobody
    if wanted.on_link != found.on_link:
        yield Step.ON_LINK, nobody
    if wanted.hears - found.hears:
        yield Step.LISTEN, nobody
    if missing := wanted.vips - found.vips:
        yield Step.ASSIGN, missing
    if missing := wanted.neighbours - found.neighbours:
        yield Step.RESOLVE, missing
