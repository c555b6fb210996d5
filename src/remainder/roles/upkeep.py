"""Keeping a role's host as the file wants it: look, mend, tell once.

reconcile.py says what is missing, this mends it.  Whatever the host refuses is
told once and tried again at the next look.
Laws: level, not edge; the host's fault never ends a running process.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from remainder.errors import HostError
from remainder.flow import Address
from remainder.kernel.netlink import Interface
from remainder.roles import ROLES, reconcile
from remainder.roles.reconcile import Step

if TYPE_CHECKING:
    from remainder.roles.running import RunningRole

ANNOUNCED_S: Final = (0.0, 1.0, 3.0)
"""When a VIP is announced after it has come: a frame may be lost."""

_SHOWN: Final = 3


def glance(role: RunningRole) -> bool:
    """Whether its program runs and is pinned: cheap enough for four times a second.

    An interface that is gone is told of when it comes back.
    """
    if role.gone or role.plane is None:
        return True
    return role.plane.ifindex == role.interface.index and role.plane.is_pinned


def tend(role: RunningRole) -> bool:
    """Mend what can be mended in place; True if its plane has to be made anew.

    Raises HostError for what the host refuses, when all else is mended.
    """
    try:
        there = role.host.interface_at(role.interface.index)
    except HostError as error:
        if error.id != "interface-gone":
            raise
        return _wait_for_interface(role)
    interface = role.serving(there, role.part)
    again = _follow(role, interface)
    networks = frozenset(ROLES[role.role].on_link(role.host, interface))
    own_macs = ROLES[role.role].own_macs(role.host, role.part, interface)
    wanted = reconcile.wanted(role.part, interface, networks, own_macs)
    known = role.host.neighbours(interface.segment).values()
    for neighbour in known:
        role.neighbour_changed(neighbour)
    found = reconcile.found(
        role.host, role.part, interface, role.plane, told=role.told, known=known
    )
    _note_vips(role, found.vips)
    refusals: list[HostError | OSError] = []
    mended: list[str] = []
    for step, addresses in reconcile.mend(wanted, found):
        try:
            said = _MENDS[step](role, wanted, addresses)
        except (HostError, OSError) as error:
            refusals.append(error)
        else:
            mended += [said] if said else []
            again = again or step is Step.ATTACH
    before, role.last_mended = role.last_mended, mended
    if mended:
        role.mended += 1
        role.fought += mended == before
        role.wanted.warn(f"{interface.name}: {'; '.join(mended)}", id="host-mended")
    if refusals:
        raise refusals[0]
    return again


def _wait_for_interface(role: RunningRole) -> bool:
    """Gone, and with it what stood on it; True once there is one of that name again."""
    name = role.asked[0] or role.interface.name
    if not role.gone:
        role.gone = True
        role.managed, role.assigned, role.heard, role.offloads = set(), set(), None, ()
        role.vips_here, role.lost = frozenset(), True
        role.wanted.warn(
            f"interface {role.interface.name} disappeared; waiting for {name} to come back",
            id="interface-gone",
        )
    try:
        role.interface = role.serving(role.host.interface(name), role.part)
    except HostError:
        return False
    role.gone = False
    role.wanted.warn(f"{name} is back; attaching to it", id="host-mended")
    return True


def _follow(role: RunningRole, now: Interface) -> bool:
    """The interface is another now; True if its program must be, too."""
    before, role.interface, say = role.interface, now, role.wanted.warn
    if now.name != before.name:
        say(f"{before.name} is called {now.name} now, and still served")
    if now.segment != before.segment:
        role.leave_segment(before.segment)
        say(
            f"{now.name} is {'a port' if now.holder else 'no longer a port'} of a bridge or bond; "
            f"servers are looked for on the {'one above' if now.holder else 'interface itself'}"
        )
    if (now.up, now.carrier) != (before.up, before.carrier):
        say(f"{now.name} {_state(now)}")
        if now.carrier:
            announce(role)
    return role.plane is not None and not role.plane.serves(role.plan, now)


def _state(interface: Interface) -> str:
    if not interface.up:
        return "is down"
    return "is up" if interface.carrier else "has no carrier"


# -- the steps ----------------------------------------------------------------------

Mend = Callable[["RunningRole", reconcile.Footing, Collection[Address]], str]


def _attach(role: RunningRole, wanted: reconcile.Footing, about: Collection[Address]) -> str:
    """Left to the node, which changes roles together."""
    del wanted, about
    if role.lost:
        return ""  # told before; its place may be taken for long
    role.lost = True
    return f"somebody detached the {role.role}'s program, attaching it again"


def _pin(role: RunningRole, wanted: reconcile.Footing, about: Collection[Address]) -> str:
    del wanted, about
    assert role.plane is not None  # noqa: S101  (else its program would be missing)
    role.plane.pin()
    return f"somebody removed pins of the {role.role}, pinned again"


def _own_mac(role: RunningRole, wanted: reconcile.Footing, about: Collection[Address]) -> str:
    del about
    if role.plane is not None:
        role.plane.set_own_mac(wanted.own_mac)
    role.told = replace(role.told, own_mac=wanted.own_mac)
    announce(role)
    return f"now at {wanted.own_mac.hex(':')}"


def _own_macs(role: RunningRole, wanted: reconcile.Footing, about: Collection[Address]) -> str:
    del about
    if role.plane is not None:
        role.plane.set_own_macs(wanted.own_macs)
    before, role.told = role.told, replace(role.told, own_macs=wanted.own_macs)
    if wanted.own_macs.accepted == before.own_macs.accepted:
        return ""  # a container has come or gone: nothing to tell
    accepted = ", ".join(mac.hex(":") for mac in wanted.own_macs.accepted)
    return f"takes VIPs that are sent to {accepted or 'its own MAC address only'}"


def _on_link(role: RunningRole, wanted: reconcile.Footing, about: Collection[Address]) -> str:
    del about
    if role.plane is not None:
        role.plane.set_on_link(wanted.on_link)
    role.told = replace(role.told, on_link=wanted.on_link)
    ranges = ", ".join(sorted(map(str, wanted.on_link))) or "none"
    return f"ranges of its segment are now {ranges}"


def _listen(role: RunningRole, wanted: reconcile.Footing, about: Collection[Address]) -> str:
    del about
    for mac in wanted.hears:
        if role.host.listen_to(role.interface, mac, join=True):
            role.heard = mac
    return "takes frames to the cluster's MAC again"


def _assign(role: RunningRole, wanted: reconcile.Footing, about: Collection[Address]) -> str:
    del wanted
    if refusals := role.put(about):
        raise refusals[0]
    return f"{_listed(about)} assigned again"


def _resolve(role: RunningRole, wanted: reconcile.Footing, about: Collection[Address]) -> str:
    del wanted
    role.managed |= set(about)  # first: some may stand there though others are refused
    role.host.keep_resolved(role.interface.segment, about)
    return f"{_listed(about)} resolved again"


_MENDS: Final[dict[Step, Mend]] = {
    Step.ATTACH: _attach,
    Step.PIN: _pin,
    Step.OWN_MAC: _own_mac,
    Step.OWN_MACS: _own_macs,
    Step.ON_LINK: _on_link,
    Step.LISTEN: _listen,
    Step.ASSIGN: _assign,
    Step.RESOLVE: _resolve,
}


def _listed(addresses: Collection[Address]) -> str:
    some = sorted(map(str, addresses))
    more = f" and {len(some) - _SHOWN} more" if len(some) > _SHOWN else ""
    return ", ".join(some[:_SHOWN]) + more


# -- telling the segment ------------------------------------------------------------


def announce(role: RunningRole) -> None:
    """VIPs have come, or their MAC is another: neighbours must learn."""
    if ROLES[role.role].announces:
        now_s = role.host.now_s()
        role.announcements = [now_s + after_s for after_s in ANNOUNCED_S]


def _note_vips(role: RunningRole, found: Collection[Address]) -> None:
    here = role.plan.vips & set(found)
    if here - role.vips_here:
        announce(role)
    role.vips_here = here


def announce_what_is_due(role: RunningRole) -> None:
    """Say where VIPs are; a refusal is told.

    Not where keepalived moves them, which says so itself.
    """
    due = [at_s for at_s in role.announcements if at_s <= role.host.now_s()]
    if not due or role.gone:
        return
    role.announcements = [at_s for at_s in role.announcements if at_s not in due]
    if role.stands_by or not role.vips_here or not role.interface.carrier:
        return
    with role.telling():
        index = role.interface.segment
        # As of now: somebody may have moved them since the last look.
        vips = role.vips_here & set(role.host.addresses_on(index))
        if vips:
            role.host.announce(index, role.interface.mac, vips)
