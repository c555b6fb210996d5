"""The answer in words: the arithmetic of a decision, line by line, for people.

Rule: pure; it computes nothing that the decision does not hold, but asks the plan
what its numbers mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from remainder.choice import Match
from remainder.flow import WITH_PORTS, Flow, endpoint, protocol_name
from remainder.plan import Decision, Plan, PlannedChoice, Role
from remainder.selection.key import field_values

_LABELS: Final[Mapping[Role, str]] = {
    "balancer": "service",
    "member": "cluster",
    "sender": "way back",
    "server": "service",
}


def lines(plan: Plan, decision: Decision) -> list[str]:
    """Why a flow goes where it goes; ``decision`` comes from ``plan.where``."""
    flow = decision.flow
    if decision.outcome == "echo_answered":
        return [f"a ping of {flow.dst_ip} is answered by the balancer itself"]
    planned = plan.find(flow.dst_ip, flow.dst_port, flow.protocol)
    if planned is None or decision.slot is None:
        return [f"{_why_nobody(plan, flow)}: the packet is passed to the network stack unchanged"]
    return _arithmetic(planned, decision, role=plan.role)


def place(match: Match) -> str:
    """Which packets a choice takes: address, port and protocol."""
    if match.any_address:
        return "everything else"
    _, port, protocol = match.written()
    any_port = "any port " if port == "any" else ""
    return f"{endpoint(match.address, match.port or 0)} {any_port}{protocol}"


def _why_nobody(plan: Plan, flow: Flow) -> str:
    vip, protocol = flow.dst_ip, protocol_name(flow.protocol)
    if vip not in plan.vips:
        return f"{vip} is not a VIP in this file"
    if flow.dst_port:
        return f"{vip} is a VIP, but has no service for {protocol} port {flow.dst_port}"
    for match in plan.by_match:
        takes = match.protocol in (flow.protocol, None) and flow.protocol in WITH_PORTS
        if takes and match.address == vip and match.port:
            return (
                f"no destination port given, and {vip} has no service for {protocol} on any port "
                f"(add a port, e.g. {endpoint(vip, match.port)})"
            )
    return f"{vip} is a VIP, but has no service for {protocol}"


def _arithmetic(planned: PlannedChoice, decision: Decision, *, role: Role) -> list[str]:
    choice, flow, key, slot = planned.choice, decision.flow, decision.key, decision.slot
    told = [f"{_LABELS[role]:<8} {choice.name}: {place(choice.match)}"]
    values = field_values(flow)
    shown = {"src_ip": str(flow.src_ip), "dst_ip": str(flow.dst_ip)}
    told += [
        f"  {name:<9}= {values[name]}" + (f"  ({shown[name]})" if name in shown else "")
        for name in choice.key.fields
    ]
    if choice.key.hashed:
        message = choice.key.message(flow).hex()
        told.append(f"key      {choice.key} = SipHash-1-3({message}) = {key}")
    else:
        told.append(f"key      {choice.key} = {key}")
    told += [
        f"slot     {key} % {planned.slots} = {slot}",
        f"owner    slot {slot} of table {choice.table} → {decision.owner}"
        + (f" ({decision.address})" if decision.address else ""),
        f"method   {choice.method}" if role != "member" else "keep     all other members drop it",
    ]
    return told + _chances(planned, decision)


def _chances(planned: PlannedChoice, decision: Decision) -> list[str]:
    """What the earlier calculations say, and who is asked for a session that the owner lacks."""
    told = [
        f"before   {one.expression} = {one.key}, {one.key} % {one.slots} = slot {one.slot} "
        f"of table {earlier.choice.table} → {one.owner.name}"
        for one, earlier in zip(decision.before, planned.before, strict=True)
    ]
    if decision.before:
        asked = ", then ".join(decision.chances)
        told.append(
            f"chance   a session that {decision.owner} does not know goes to {asked}"
            if asked
            else "chance   none needed: every calculation names the same owner"
        )
    return told
