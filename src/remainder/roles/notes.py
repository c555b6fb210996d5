"""What a running balancer writes down about itself, for ``status`` and the next start."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from ipaddress import ip_address

import numpy as np
from msgspec.structs import replace

from remainder.errors import HostError
from remainder.flow import Address
from remainder.kernel.host import Host
from remainder.kernel.image import OwnerName
from remainder.observe.state import CalculationState, Refused, ServerState, ServiceState, State
from remainder.plan import Plan, PlannedChoice


def services(
    plan: Plan, numbers: Mapping[OwnerName, int], macs: Mapping[Address, bytes]
) -> list[ServiceState]:
    """The services of a plan as they run."""
    return [_service(plan, planned, numbers, macs) for planned in plan.choices]


def _service(
    plan: Plan,
    planned: PlannedChoice,
    numbers: Mapping[OwnerName, int],
    macs: Mapping[Address, bytes],
) -> ServiceState:
    choice = planned.choice
    written = choice.match.written()
    _, *before = plan.asked(planned)
    told = [_servers(earlier, numbers, macs) for earlier in before]
    now = _servers(planned, numbers, macs)
    names = {server.name for server in now}
    leaving = {server.name: server for servers in told for server in servers}
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
        # Whom earlier calculations alone name owns nothing now, but still gets packets.
        servers=[
            *now,
            *(
                replace(server, weight=0, slots=0)
                for server in leaving.values()
                if server.name not in names
            ),
        ],
        before=[
            CalculationState(
                key=str(earlier.key),
                table=earlier.choice.table,
                slots=earlier.slots,
                servers=servers,
            )
            for earlier, servers in zip(before, told, strict=True)
        ],
    )


def _servers(
    planned: PlannedChoice, numbers: Mapping[OwnerName, int], macs: Mapping[Address, bytes]
) -> list[ServerState]:
    owned = np.bincount(planned.table, minlength=len(planned.owners))
    return [
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
    ]


def mac_of(text: str | None) -> bytes | None:
    """A MAC address as notes have it."""
    return bytes.fromhex(text.replace(":", "")) if text else None


def sentence_of(error: Exception) -> str:
    """What to tell of an error; one of the operating system that nobody has worded names itself."""
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror or error}"
    return str(error)


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
        for server in service.everyone
    }


def macs_of(noted: State | None) -> dict[Address, bytes]:
    """Where each server was found last."""
    return {
        ip_address(server.address): bytes.fromhex(server.mac.replace(":", ""))
        for service in (noted.services if noted else ())
        for server in service.everyone
        if server.mac
    }
