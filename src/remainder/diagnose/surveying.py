"""A survey of a real segment: where we stand on it, and a socket to ask with."""

from __future__ import annotations

from typing import Protocol

from remainder.diagnose.survey import Place, Survey, survey
from remainder.fleet import Part
from remainder.kernel import neighbours, netlink, packets, routes
from remainder.kernel.netlink import Interface


class Surveyor(Protocol):
    """Who asks the segment."""

    def survey(self, part: Part, interface: Interface, /, *, foreign: bool) -> tuple[Place, Survey]:
        """Ask, as ``survey.survey`` does.  Raises HostError where that is not allowed."""


class LinuxSurveyor:
    """Asks through a packet socket."""

    def survey(self, part: Part, interface: Interface, *, foreign: bool) -> tuple[Place, Survey]:
        """In the network namespace of the calling thread."""
        port = _port(interface)
        place = Place(
            interface=port,
            own=frozenset(netlink.addresses_on(interface.segment)),
            networks=netlink.networks_on(interface.segment),
            gateways=routes.gateways_on(interface.segment),
            known=frozenset(neighbours.neighbours(interface.segment)),
        )
        with packets.opened(port) as wire:
            return place, survey(wire, part, place, foreign=foreign)


def _port(interface: Interface) -> Interface:
    """Where we ask: in a VLAN on the interface of that VLAN, which puts the tag on.

    But on a port of a bridge or bond on the port itself, as what is forwarded.
    """
    if interface.segment == interface.index:
        return interface
    above = netlink.interface_at(interface.segment)
    return above if above.kind == "vlan" else interface
