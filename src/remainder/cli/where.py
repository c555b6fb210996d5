"""``remainder where``: which server a flow goes to, with the arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click
import msgspec

from remainder import explain
from remainder.cli.documents import WhereDocument, show
from remainder.cli.options import file_argument, json_option
from remainder.errors import ConfigError, Disagreement
from remainder.fleet import Tier, tiers_of
from remainder.flow import Flow, endpoint, parse_endpoint, parse_flow
from remainder.plan import Calculated, Decision
from remainder.sources.file import load


@click.command(name="where")
@file_argument
@click.argument("source", metavar="SRC[:PORT]")
@click.argument("destination", metavar="DST[:PORT]")
@click.option("--protocol", default="tcp", show_default=True, help="protocol name or number")
@click.option("--kernel", is_flag=True, help="also run the XDP program and compare (needs root)")
@json_option
def command(
    file: Path, source: str, destination: str, protocol: str, *, kernel: bool, as_json: bool
) -> None:
    """Show where a packet from SRC to DST goes, and why.  Changes nothing.

    Write IPv6 with a port as [2001:db8::1]:80.
    """
    flow = parse_flow(source, destination, protocol)
    tiers = tiers_of(load(file))
    decisions = [tier.plan.where(flow) for tier in tiers]
    answers = [Answer(tier, decision) for tier, decision in zip(tiers, decisions, strict=True)]
    if kernel:
        from remainder.kernel.oracle import oracle  # noqa: PLC0415  (needs libbpf)

        for answer in answers:
            with oracle(answer.tier.plan) as asked:
                answer.said = asked.where(flow)
    hint = _hint(flow, destination, tiers)
    if as_json:
        show(msgspec.convert(_plain(answers) | ({"hint": hint} if hint else {}), WhereDocument))
    else:
        click.echo(_text(answers))
        if hint:
            click.echo(hint, err=True)
    for answer in answers:
        if not answer.agrees:
            (outcome, owner), decision = answer.said or ("", None), answer.decision
            raise Disagreement(
                f"BUG: XDP program and reference model disagree ({_named(outcome, owner)} vs "
                f"{_named(decision.outcome, decision.owner)}). Do not deploy this build; "
                f"please report the flow",
                id="program-wrong",
            )


def _named(outcome: str, owner: str | None) -> str:
    return f"{outcome} {owner}" if owner else outcome


def _hint(flow: Flow, destination: str, tiers: list[Tier]) -> str | None:
    """What was probably meant, if a port without brackets was read as part of the address."""
    vips = {vip for tier in tiers for vip in tier.plan.vips}
    address, _, port = destination.rpartition(":")
    if flow.version == 4 or flow.dst_ip in vips or not port.isdecimal():
        return None
    try:
        meant = parse_endpoint(f"[{address}]:{port}")
    except ConfigError:
        return None
    return f"did you mean {endpoint(*meant)}?" if meant[0] in vips else None


@dataclass
class Answer:
    """What one tier decides for a flow, and what its XDP program does."""

    tier: Tier
    decision: Decision
    said: tuple[str, str | None] | None = None

    @property
    def agrees(self) -> bool:
        """True also if the program was not run."""
        return self.said in (None, (self.decision.outcome, self.decision.owner))


def _main(answers: list[Answer]) -> Answer:
    """The balancer's answer; if the file has no service, the first one."""
    return next((item for item in answers if item.tier.kind == "service"), answers[0])


def _plain(answers: list[Answer]) -> dict[str, object]:
    main = _main(answers)
    flow = main.decision.flow
    return {
        "src_ip": str(flow.src_ip),
        "src_port": flow.src_port,
        "dst_ip": str(flow.dst_ip),
        "dst_port": flow.dst_port,
        "protocol": flow.protocol,
        **_decision(main),
        "tiers": [
            {"kind": item.tier.kind, "name": item.tier.name, **_decision(item)} for item in answers
        ],
    }


def _decision(answer: Answer) -> dict[str, object]:
    decision = answer.decision
    plain: dict[str, object] = {
        "outcome": decision.outcome,
        "service": decision.choice,
        "expression": decision.expression,
        "key": decision.key,
        "slots": decision.slots,
        "slot": decision.slot,
        "server": decision.owner,
        "address": _address(decision),
        "before": [_earlier(answer) for answer in decision.before],
        "chances": list(decision.chances),
    }
    if answer.said is not None:
        plain["kernel"] = {"outcome": answer.said[0], "server": answer.said[1]}
    return plain


def _earlier(answer: Calculated) -> dict[str, object]:
    return {
        "expression": answer.expression,
        "key": answer.key,
        "slots": answer.slots,
        "slot": answer.slot,
        "server": answer.owner.name,
        "address": str(answer.owner.address or ""),
    }


def _address(decision: Decision) -> str | None:
    """Of the owner; empty for a member, None if the packet has no owner."""
    if decision.owner is None:
        return None
    return str(decision.address) if decision.address is not None else ""


def _text(answers: list[Answer]) -> str:
    main = _main(answers)
    concerned = [item for item in answers if item is main or item.decision.outcome != "not_vip"]
    return "\n".join(line for item in concerned for line in _lines(item))


_GOES = {
    "service": "goes to",
    "cluster": "is kept by",
    "return_path": "is answered through",
}


def _lines(answer: Answer) -> list[str]:
    decision = answer.decision
    address = f" ({decision.address})" if decision.address else ""
    goes = f"{decision.owner}{address}" if decision.owner else decision.outcome
    verb = _GOES[answer.tier.kind] if decision.owner else "ends as"
    lines = [
        f"{decision.flow}  {verb}  {goes}",
        *(f"  {line}" for line in explain.lines(answer.tier.plan, decision)),
    ]
    if answer.said is not None:
        agrees = "(agrees)" if answer.agrees else ""
        lines.append(f"  kernel   {answer.said[0]} {answer.said[1] or ''} {agrees}".rstrip())
    return lines
