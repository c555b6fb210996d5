"""Which balancer is active: decided by keepalived (VRRPv3), whose configuration is written here.

Claims: 15, 16.
All balancers of a file run ``remainder run`` all the time, and each gives the
same answer for every packet, without any communication.  What makes one active
is that packets reach it: it holds the VIPs, answers ARP and neighbour discovery
for them with its own MAC, and announces them when it takes over (gratuitous ARP,
unsolicited advertisement).  A standby holds no VIP, so no frame is sent to it.
So there is nothing to arm: a takeover writes no flag and transfers no session,
and two that are active for a moment do no harm.

Rule: pure.  Priority follows the order of the file, so the first takes over
again as soon as it is back: failing back costs as little as failing over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from remainder.config import Balancer, Config, Vrrp
from remainder.errors import ConfigError
from remainder.flow import Address

HIGHEST_PRIORITY: Final = 250
PRIORITY_STEP: Final = 10
MOST_BALANCERS: Final = HIGHEST_PRIORITY // PRIORITY_STEP

MOST_ADVERTISED: Final = 20
"""Addresses named in an advertisement; keepalived holds the others as well, unnamed."""

CHECK_INTERVAL_S: Final = 1
"""How often the data plane is looked for; keepalived counts in whole seconds."""

CHECK_LIMIT_S: Final = 5
"""A busy machine that answers late has not failed."""

_FAMILY: Final = {4: "ipv4", 6: "ipv6"}
_BITS: Final = {4: 32, 6: 128}


@dataclass(frozen=True, kw_only=True)
class Instance:
    """A VRRP router for the VIPs of one IP version."""

    version: int
    advertised: tuple[str, ...]
    """With prefix length.  Under IPv6 the first is link-local (RFC 9568, section 5.2.9)."""

    excluded: tuple[str, ...]
    """Held like the others, but not listed in the advertisement."""

    @property
    def name(self) -> str:
        """``remainder_ipv4`` or ``remainder_ipv6``."""
        return f"remainder_{_FAMILY[self.version]}"


@dataclass(frozen=True, kw_only=True)
class Standby:
    """A balancer's part in the redundancy of its file."""

    node: str
    place: int
    """0 is the first in the file, which is active if it can be."""

    interface: str
    router_id: int
    advert_interval_s: float
    data_plane: PurePath
    """The pin of its link."""

    check: str
    """The command that succeeds for as long as the data plane is attached."""

    instances: tuple[Instance, ...]

    @property
    def priority(self) -> int:
        """250, 240, …: 255 belongs to a router whose own address is the VIP."""
        return HIGHEST_PRIORITY - PRIORITY_STEP * self.place

    @property
    def takeover_s(self) -> float:
        """How long the active one must be silent before this one takes over.

        RFC 9568, section 6.1: three intervals, and a skew by priority.
        """
        skew_s = (256 - self.priority) * self.advert_interval_s / 256
        return 3 * self.advert_interval_s + skew_s


def standby(config: Config, node: str, *, data_plane: PurePath, check: str) -> Standby:
    """What the file says about a node.

    ``data_plane`` is the path of its pinned link, ``check`` asks whether it is attached.

    Raises ConfigError if the node is not one of at least two balancers under [vrrp].
    """
    if config.vrrp is None:
        raise ConfigError(
            "vrrp",
            "no [vrrp] section; add [vrrp] with router_id = 51, and a [[balancer]] for each node",
        )
    section = config.balancer_named(node)
    if section is None or len(config.balancer) < 2:
        raise ConfigError(
            "balancer",
            f"[vrrp] needs at least two [[balancer]] sections, found {len(config.balancer)}; "
            f"add a [[balancer]] for each node",
        )
    _check_balancers(config.balancer)
    _check_interval(config.vrrp)
    vips = {service.vip: None for service in config.service}
    if not vips:
        raise ConfigError("service", "no [[service]], so there is no VIP to hold; add one")
    return Standby(
        node=node,
        place=config.balancer.index(section),
        interface=section.interface,
        router_id=config.vrrp.router_id,
        advert_interval_s=config.vrrp.advert_interval_s,
        data_plane=data_plane,
        check=check,
        instances=tuple(_instances(vips, config.vrrp.router_id)),
    )


def render(wanted: Standby) -> str:
    """The text of keepalived.conf, with a last newline."""
    return "\n".join(_lines(wanted)) + "\n"


def plain(wanted: Standby) -> dict[str, object]:
    """The same for programs."""
    return {
        "node": wanted.node,
        "place": wanted.place,
        "interface": wanted.interface,
        "router_id": wanted.router_id,
        "priority": wanted.priority,
        "advert_interval_s": wanted.advert_interval_s,
        "takeover_s": round(wanted.takeover_s, 6),
        "data_plane": str(wanted.data_plane),
        "check": wanted.check,
        "instances": [
            {
                "name": instance.name,
                "version": instance.version,
                "advertised": list(instance.advertised),
                "excluded": list(instance.excluded),
            }
            for instance in wanted.instances
        ],
    }


def _check_balancers(balancers: list[Balancer]) -> None:
    if len(balancers) > MOST_BALANCERS:
        raise ConfigError(
            "balancer",
            f"found {len(balancers)} [[balancer]] sections, the maximum with [vrrp] is "
            f"{MOST_BALANCERS}; split the services over several files",
        )
    for number, balancer in enumerate(balancers):
        if balancer.assign_vips:
            raise ConfigError(
                f"balancer[{number}].assign_vips",
                "assign_vips is true, but with [vrrp] keepalived assigns the VIPs to the active "
                "balancer only; remove assign_vips or [vrrp]",
            )
        if not re.fullmatch(r"[\w.:@-]+", balancer.interface, re.ASCII):
            raise ConfigError(
                f"balancer[{number}].interface",
                f"interface is {balancer.interface!r}, which keepalived cannot read; "
                f"use only letters, digits, '.', '_', ':', '@' and '-'",
            )


def _check_interval(vrrp: Vrrp) -> None:
    hundredths = vrrp.advert_interval_s * 100
    if abs(hundredths - round(hundredths)) > 1e-6:
        raise ConfigError(
            "vrrp.advert_interval_s",
            f"advert_interval_s is {vrrp.advert_interval_s}, but VRRP counts in hundredths of a "
            f"second; write {round(hundredths) / 100}",
        )


def _instances(vips: Iterable[Address], router_id: int) -> Iterator[Instance]:
    vips = list(vips)
    for version in (4, 6):
        addresses = [f"{vip}/{_BITS[version]}" for vip in vips if vip.version == version]
        if not addresses:
            continue
        if version == 6:
            addresses.insert(0, f"{_link_local(router_id)}/128")
        yield Instance(
            version=version,
            advertised=tuple(addresses[:MOST_ADVERTISED]),
            excluded=tuple(addresses[MOST_ADVERTISED:]),
        )


def _link_local(router_id: int) -> str:
    """From the virtual router's MAC 00-00-5E-00-02-ID (RFC 9568, section 7.3; RFC 4291)."""
    return f"fe80::200:5eff:fe00:2{router_id:02x}"


def _lines(wanted: Standby) -> Iterator[str]:
    yield from (
        f"# Node {wanted.node}, number {wanted.place + 1}; generated by `remainder keepalived`.",
        f"# Takes over after {wanted.takeover_s:.3g} s without an advert from a better node.",
        "",
        "global_defs {",
        f"    router_id {wanted.node}",
        "    script_user root",
        "    enable_script_security",
        "}",
        "",
        "# Only a node whose data plane is attached may be active.",
        "vrrp_script data_plane {",
        f'    script "{wanted.check}"',
        f"    interval {CHECK_INTERVAL_S}",
        f"    timeout {CHECK_LIMIT_S}",
        "    rise 1",
        "    fall 1",
        "    init_fail",
        "}",
        "",
    )
    if len(wanted.instances) > 1:
        yield from (
            "# Both address families fail over together.",
            "vrrp_sync_group remainder {",
            "    group {",
            *(f"        {instance.name}" for instance in wanted.instances),
            "    }",
            "}",
            "",
        )
    for number, instance in enumerate(wanted.instances):
        if number:
            yield ""
        yield from _instance_lines(wanted, instance)


def _instance_lines(wanted: Standby, instance: Instance) -> Iterator[str]:
    yield from (
        f"vrrp_instance {instance.name} {{",
        "    version 3",
        "    state BACKUP",
        "    # keepalived also tracks the state of this interface.",
        f"    interface {wanted.interface}",
        f"    virtual_router_id {wanted.router_id}",
        f"    priority {wanted.priority}",
        f"    advert_int {wanted.advert_interval_s:g}",
        "    # After both were active, the better one must announce the VIPs again.",
        "    higher_prio_send_advert true",
        "    # Without this, the host itself would answer packets to the VIP (with a reset) if the",
        "    # data plane is gone.",
        "    no_accept",
        "    track_script {",
        "        data_plane",
        "    }",
        "    virtual_ipaddress {",
        *(f"        {address}" for address in instance.advertised),
        "    }",
    )
    if instance.excluded:
        yield "    virtual_ipaddress_excluded {"
        yield from (f"        {address}" for address in instance.excluded)
        yield "    }"
    yield "}"
