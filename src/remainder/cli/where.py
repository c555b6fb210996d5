"""``remainder where``: which server a flow goes to, with the arithmetic."""

from __future__ import annotations

import json
from pathlib import Path

import click

from remainder.cli.options import file_argument, json_option
from remainder.errors import Disagreement
from remainder.flow import parse_flow
from remainder.plan import Decision, make_plan
from remainder.sources.file import load


@click.command(name="where")
@file_argument
@click.argument("source", metavar="SRC[:PORT]")
@click.argument("destination", metavar="DST[:PORT]")
@click.option("--protocol", default="tcp", show_default=True, help="name or number")
@click.option(
    "--kernel", is_flag=True, help="ask the real program as well (root); differing is an error"
)
@json_option
def command(
    file: Path, source: str, destination: str, protocol: str, *, kernel: bool, as_json: bool
) -> None:
    """Say where a packet goes and why.  Changes nothing.

    IPv6 is written [2001:db8::1]:80.
    """
    plan = make_plan(load(file))
    decision = plan.where(parse_flow(source, destination, protocol))
    said = None
    if kernel:
        from remainder.kernel.oracle import oracle  # noqa: PLC0415  (needs libbpf)

        with oracle(plan) as asked:
            said = asked.where(decision.flow)
    if as_json:
        click.echo(json.dumps(_plain(decision, said), indent=2))
    else:
        click.echo(_text(decision, said))
    if said is not None and said != (decision.outcome, decision.server):
        raise Disagreement(
            f"the kernel's program says {said[0]} {said[1] or ''} and the calculation says "
            f"{decision.outcome} {decision.server or ''}: do not use this build, and report "
            f"the flow"
        )


def _plain(decision: Decision, said: tuple[str, str | None] | None) -> dict[str, object]:
    flow = decision.flow
    plain: dict[str, object] = {
        "src_ip": str(flow.src_ip),
        "src_port": flow.src_port,
        "dst_ip": str(flow.dst_ip),
        "dst_port": flow.dst_port,
        "protocol": flow.protocol,
        "outcome": decision.outcome,
        "service": decision.service,
        "expression": decision.expression,
        "key": decision.key,
        "slots": decision.slots,
        "slot": decision.slot,
        "server": decision.server,
        "address": decision.address,
    }
    if said is not None:
        plain["kernel"] = {"outcome": said[0], "server": said[1]}
    return plain


def _text(decision: Decision, said: tuple[str, str | None] | None) -> str:
    goes = f"{decision.server} ({decision.address})" if decision.server else decision.outcome
    lines = [f"{decision.flow}  goes to  {goes}", *(f"  {line}" for line in decision.lines)]
    if said is not None:
        agrees = said == (decision.outcome, decision.server)
        lines.append(
            f"  kernel   {said[0]} {said[1] or ''} {'(agrees)' if agrees else ''}".rstrip()
        )
    return "\n".join(lines)
