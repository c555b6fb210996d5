"""What runs on this host, as plain values: the answer behind ``status``.

Look-only: opens pins for reading, changes nothing.
"""

from __future__ import annotations

import os
import time
from typing import Any

import msgspec

from remainder.errors import HostError
from remainder.kernel import counters, libbpf, pins
from remainder.kernel.image import OwnerName
from remainder.observe import seen, state
from remainder.observe.seen import Sample, Seen
from remainder.outcome import Outcome
from remainder.plan import Role


def reports(node: str | None = None) -> list[dict[str, Any]]:
    """A report for each role that runs here.  Raises HostError for a node that has none."""
    found = [item for item in state.running() if node in (None, item[0])]
    if node is not None and not found:
        names = ", ".join(dict.fromkeys(name for name, _ in state.running())) or "none"
        raise HostError(
            f"no data plane of node {node!r} runs here; nodes on this host: {names}",
            id="nothing-runs",
        )
    if node is not None:
        return [report(name, role) for name, role in found]
    return [_report_or_why(name, role) for name, role in found]


def _report_or_why(node: str, role: Role) -> dict[str, Any]:
    """One node that cannot be read must not hide the others."""
    try:
        return report(node, role)
    except HostError as error:
        return {"node": node, "role": role, "error": str(error), "id": error.id}


def report(node: str, role: Role = "balancer") -> dict[str, Any]:
    """Everything about a node's data plane in a role.  Raises HostError if it has none."""
    noted = state.load(node, role)
    if os.geteuid() != 0 and not os.access(pins.folder_of(node, role), os.R_OK):
        raise HostError("reading the counters requires root; try again with sudo", id="needs-root")
    attached = pins.find(node, role)
    if attached is None:
        raise HostError(
            f"state file exists for {node!r} but nothing is pinned at "
            f"{pins.folder_of(node, role)}: removed by hand, or this shell has a different /sys "
            f"(as under `ip netns exec`; use nsenter --net)",
            id="data-plane-missing",
        )
    try:
        return _plain(noted, attached)
    finally:
        attached.close()


def packets(node: str, role: Role) -> dict[OwnerName, int] | None:
    """What every owner was sent; None if that cannot be read."""
    noted = state.read(node, role)
    if noted is None:
        return None
    try:
        attached = pins.find(node, role)
        if attached is None:
            return None
        try:
            sent = counters.servers(attached.dataplane.maps, _numbers(noted))
        finally:
            attached.close()
    except (HostError, OSError):
        return None
    return {name: count.packets for name, count in sent.items()}


def _numbers(noted: state.State) -> dict[OwnerName, int]:
    return {
        (service.name, server.name): server.counter
        for service in noted.services
        for server in service.everyone
    }


def _plain(noted: state.State, attached: pins.Attached) -> dict[str, Any]:
    maps = attached.dataplane.maps
    sent = counters.servers(maps, _numbers(noted))
    outcomes = counters.outcomes(maps)
    lately = seen.read(noted.node, noted.role)
    sample = seen.fresh(lately.sample)
    return {
        "node": noted.node,
        "role": noted.role,
        "interface": noted.interface,
        "mode": noted.mode,
        "attached": attached.ifindex != 0,
        "process": state.tended_by(noted.node),
        "file": noted.file,
        "refused": msgspec.to_builtins(noted.refused),
        "trouble": noted.trouble,
        "published": noted.published,
        "fingerprint": {
            "file": noted.fingerprint_file,
            "tables": noted.fingerprint_tables,
            "program": noted.fingerprint_program,
        },
        "program": {
            "id": attached.dataplane.program_id,
            "instructions": libbpf.program_size(attached.dataplane.program_fd),
        },
        "assigned": noted.assigned,
        "recent_s": round(time.monotonic() - sample.at_s, 1) if sample is not None else None,
        "services": [_service(service, sent, lately, sample) for service in noted.services],
        "outcomes": {
            outcome.value: {"packets": count.packets, "bytes": count.bytes}
            for outcome, count in outcomes.items()
        },
        "seen": {
            "packets": sum(count.packets for count in outcomes.values()),
            "bytes": sum(count.bytes for count in outcomes.values()),
        },
    }


def _service(
    service: state.ServiceState,
    sent: dict[OwnerName, counters.Count],
    lately: Seen,
    sample: Sample | None,
) -> dict[str, Any]:
    return {
        "name": service.name,
        "vip": service.vip,
        "port": service.port,
        "protocol": service.protocol,
        "key": service.key,
        "table": service.table,
        "slots": service.slots,
        "method": service.method,
        "fragments": service.fragments,
        "servers": [
            {
                "name": server.name,
                "address": server.address,
                "mac": server.mac,
                "weight": server.weight,
                "slots": server.slots,
                "slot": server.slot,
                "packets": sent[service.name, server.name].packets,
                "bytes": sent[service.name, server.name].bytes,
                "recent_packets": seen.grown(
                    sample, service.name, server.name, sent[service.name, server.name].packets
                ),
                "silent_since": seen.time_of_day(lately.silent_since_s[server.address])
                if server.address in lately.silent_since_s
                else None,
                "silent_s": round(time.monotonic() - lately.silent_since_s[server.address])
                if server.address in lately.silent_since_s
                else None,
            }
            for server in service.servers
        ],
        "before": [_earlier(earlier) for earlier in service.before],
    }


def _earlier(calculation: state.CalculationState) -> dict[str, Any]:
    return {
        "key": calculation.key,
        "table": calculation.table,
        "slots": calculation.slots,
        "servers": [
            {
                "name": server.name,
                "address": server.address,
                "weight": server.weight,
                "slots": server.slots,
            }
            for server in calculation.servers
        ],
    }


def meaning(outcome: str) -> str:
    """What a non-zero count of an outcome means to an operator."""
    return next(known.normal for known in Outcome if known == outcome)
