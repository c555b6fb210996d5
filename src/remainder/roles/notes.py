"""What a running balancer writes down about itself, for ``status`` and the next start."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from ipaddress import ip_address

import numpy as np

from remainder.errors import HostError
from remainder.flow import Address
from remainder.kernel.host import Host
from remainder.kernel.image import OwnerName
from remainder.observe.state import Refused, ServerState, ServiceState, State
from remainder.plan import Plan, PlannedChoice


def services(
    plan: Plan, numbers: Mapping[OwnerName, int], macs: Mapping[Address, bytes]
) -> list[ServiceState]:
    """The services of a plan as they run."""
    return [_service(planned, numbers, macs) for planned in plan.choices]


def _service(
    planned: PlannedChoice, numbers: Mapping[OwnerName, int], macs: Mapping[Address, bytes]
) -> ServiceState:
    choice = planned.choice
    written = choice.match.written()
    owned = np.bincount(planned.table, minlength=len(planned.owners))
    return ServiceState(
        name=planned.name,
        vip=written.vip,
        port=written.port,
        protocol=written.protocol,
        key=str(planned.key),
        table=choice.table,
        slots=planned.slots,
        method=choice.method,
        fragments=choice.fragments,
        servers=[
            ServerState(
                name=owner.name,
                address=str(owner.address) if owner.address is not None else "",
                weight=owner.weight,
                slots=int(owned[at]),
                slot=owner.home,
                counter=numbers[planned.name, owner.name],
                mac=macs[owner.address].hex(":")
                if owner.address is not None and owner.address in macs
                else None,
            )
            for at, owner in enumerate(planned.owners)
        ],
    )


def mac_of(text: str | None) -> bytes | None:
    """A MAC address as notes have it."""
    return bytes.fromhex(text.replace(":", "")) if text else None


def refused(sentence: str) -> Refused:
    """A file that was refused just now."""
    now = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    return Refused(at=now, sentence=sentence)


def index_of(before: State, host: Host) -> int | None:
    """The interface that notes are about, whatever its name is by now; None if it is gone."""
    try:
        if before.ifindex:
            return host.interface_at(before.ifindex).index
        return host.interface(before.interface).index
    except HostError:
        return None


def numbers_of(noted: State | None) -> dict[OwnerName, int]:
    """Which counter each server had."""
    return {
        (service.name, server.name): server.counter
        for service in (noted.services if noted else ())
        for server in service.servers
    }


def macs_of(noted: State | None) -> dict[Address, bytes]:
    """Where each server was found last."""
    return {
        ip_address(server.address): bytes.fromhex(server.mac.replace(":", ""))
        for service in (noted.services if noted else ())
        for server in service.servers
        if server.mac
    }
