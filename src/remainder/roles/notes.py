"""What a running balancer writes down about itself, for ``status`` and the next start."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from ipaddress import ip_address

import numpy as np

from remainder.errors import RemainderError
from remainder.flow import Address
from remainder.kernel.image import OwnerName
from remainder.observe.state import Refused, ServerState, ServiceState, State
from remainder.plan import Plan, PlannedService


def services(
    plan: Plan, numbers: Mapping[OwnerName, int], macs: Mapping[Address, bytes]
) -> list[ServiceState]:
    """The services of a plan as they run."""
    return [_service(planned, numbers, macs) for planned in plan.services]


def _service(
    planned: PlannedService, numbers: Mapping[OwnerName, int], macs: Mapping[Address, bytes]
) -> ServiceState:
    service = planned.service
    owned = np.bincount(planned.table, minlength=len(planned.servers))
    return ServiceState(
        name=planned.name,
        vip=service.vip,
        port=service.port,
        protocol=service.protocol,
        key=str(planned.key),
        table=service.table,
        slots=planned.slots,
        method=service.method,
        fragments=service.fragments,
        servers=[
            ServerState(
                name=server.name,
                address=server.address,
                weight=server.weight,
                slots=int(owned[at]),
                counter=numbers[planned.name, server.name],
                mac=macs[server.ip].hex(":") if server.ip and server.ip in macs else None,
            )
            for at, server in enumerate(planned.servers)
        ],
    )


def refused(error: RemainderError) -> Refused:
    """A file that was refused just now."""
    now = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    return Refused(at=now, sentence=str(error))


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
