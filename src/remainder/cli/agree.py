"""``remainder agree``: would all nodes give the same answer?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import click

from remainder.cli.counting import counted
from remainder.cli.documents import (
    AgreeDocument,
    ComparedNode,
    CoveredCluster,
    UnreadableNode,
    show,
)
from remainder.cli.options import file_argument, json_option
from remainder.config import Config
from remainder.errors import ConfigError, Disagreement, HostError
from remainder.fleet import member_plan, return_plan
from remainder.observe.agreement import Comparison, Coverage, compare, coverage
from remainder.observe.told import MAX_BYTES, Reports, read_reports, sorted_out
from remainder.plan import Plan, make_plan
from remainder.printable import printable, printable_lines, printable_name
from remainder.sources.file import load


@click.command(name="agree")
@file_argument
@click.argument("reports", nargs=-1, metavar="[STATUS.json]…")
@click.option("--nodes", metavar="NAME,…", help="compare only these nodes")
@json_option
def command(file: Path, reports: tuple[str, ...], nodes: str | None, *, as_json: bool) -> None:
    """Compare FILE with what nodes run.  Changes nothing.

    STATUS.json is the output of `remainder status --json` on a node, or - for
    stdin; without any, the nodes on this host are compared.  Shows a packet on
    which a node differs, and whether the members of a cluster together own
    every slot.
    """
    config = load(file)
    told = _told(reports)
    if nodes is not None:
        told = _only(told, nodes.split(","))
    if not told.nodes:
        _refuse_nothing(told, reports)
    verdicts = [compare(_plan_for(config, report), report) for report in told.nodes]
    covered = coverage(told.nodes)
    if as_json:
        show(_document(verdicts, covered, told.unreadable))
    else:
        click.echo(printable_lines(_lines(verdicts, covered)))
    _judge(file, verdicts, covered, told.unreadable)


def _judge(
    file: Path,
    verdicts: list[Comparison],
    covered: list[Coverage],
    unreadable: list[Mapping[str, Any]],
) -> None:
    """Raise Disagreement unless everything was compared and agrees."""
    differing = [printable_name(verdict.node) for verdict in verdicts if not verdict.agrees]
    if differing:
        raise Disagreement(
            f"{', '.join(dict.fromkeys(differing))} would answer differently from {file}; "
            f"give every node the same file",
            id="answers-differ",
        )
    if unreadable:
        raise Disagreement(
            f"not every node could be compared: {_reasons(unreadable)}", id="nodes-not-compared"
        )
    gaps = [printable_name(item.cluster) for item in covered if not item.complete]
    if gaps:
        raise Disagreement(
            f"cluster {', '.join(gaps)} has slots that no reported member keeps; start the missing "
            f"members, add their reports, or remove them from the file on all nodes",
            id="slots-uncovered",
        )


def _refuse_nothing(told: Reports, reports: tuple[str, ...]) -> NoReturn:
    """Where nothing was compared, nothing agrees."""
    if told.unreadable:
        raise HostError(
            f"nothing was compared: {_reasons(told.unreadable)}", id="nodes-not-compared"
        )
    raise ConfigError(
        ", ".join(map(printable_name, reports)),
        "nothing to compare: no node is reported; save `remainder status --json` where nodes run",
    )


def _reasons(unreadable: list[Mapping[str, Any]]) -> str:
    return "; ".join(
        f"{printable_name(item['node'])} ({item['role']}): {printable(item['error'], 300)}"
        for item in unreadable
    )


def _plan_for(config: Config, report: Mapping[str, Any]) -> Plan:
    """The plan of the file for the role, clusters and return paths of a report."""
    names = {service["name"] for service in report["services"]}
    if report["role"] == "member":
        clusters = [item for item in config.cluster if {item.name, f"{item.name}/ipv4"} & names]
        return member_plan(config, clusters or config.cluster)
    if report["role"] == "sender":
        paths = [
            item
            for item in config.return_path
            if any(name.startswith(f"{item.name}/") for name in names)
        ]
        return return_plan(config, paths or config.return_path)
    return make_plan(config)


def _told(reports: tuple[str, ...]) -> Reports:
    if not reports:
        from remainder.observe.report import reports as running  # noqa: PLC0415  (needs libbpf)

        found = running()
        if not found:
            raise ConfigError(
                "",
                "nothing runs on this host; pass the output of `remainder status --json` "
                "from other nodes",
            )
        return sorted_out(found)
    told = Reports([], [])
    for name in reports:
        try:
            with click.open_file(name, "rb") as file:
                content = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise ConfigError(name, f"cannot read the file ({error.strerror})") from None
        nodes, unreadable = read_reports(name, content)
        told.nodes.extend(nodes)
        told.unreadable.extend(unreadable)
    return told


def _only(told: Reports, nodes: list[str]) -> Reports:
    known = {report["node"]: None for report in (*told.nodes, *told.unreadable)}
    for node in nodes:
        if node not in known:
            raise ConfigError(
                "--nodes",
                f"no report from {node!r}; reports are from "
                f"{', '.join(map(printable_name, sorted(known))) or 'no node'}",
            )
    return Reports(
        [report for report in told.nodes if report["node"] in nodes],
        [report for report in told.unreadable if report["node"] in nodes],
    )


def _lines(verdicts: list[Comparison], covered: list[Coverage]) -> list[str]:
    lines = []
    for verdict in verdicts:
        mark, node = "agrees" if verdict.agrees else "DIFFERS", printable_name(verdict.node)
        lines.append(f"{node} ({verdict.role})  {mark}: {verdict.reason}")
        if verdict.flow is not None:
            lines.append(
                f"  {verdict.flow}: the file says {verdict.ours}, "
                f"{node} says {printable_name(verdict.theirs)}"
            )
    for item in covered:
        owned = " + ".join(
            f"{count:,} ({printable_name(member)})" for member, count in item.owned.items()
        )
        lines.append(
            f"cluster {printable_name(item.cluster)}: {owned} = {sum(item.owned.values()):,} of "
            f"{counted(item.slots, 'slot')}, "
            f"{'no gap, no overlap' if item.complete else 'incomplete'}; "
            f"{counted(item.kept, 'packet')} kept"
        )
        lines += [
            f"  no member keeps the {counted(count, 'slot')} of {printable_name(member)}, "
            f"which is not running"
            for member, count in item.missing.items()
        ]
    return lines


def _document(
    verdicts: list[Comparison], covered: list[Coverage], unreadable: list[Mapping[str, Any]]
) -> AgreeDocument:
    return AgreeDocument(
        agree=bool(verdicts) and not unreadable and all(verdict.agrees for verdict in verdicts),
        nodes=[
            ComparedNode(
                node=verdict.node,
                role=verdict.role,
                agrees=verdict.agrees,
                reason=verdict.reason,
                flow=str(verdict.flow) if verdict.flow else None,
                ours=verdict.ours,
                theirs=verdict.theirs,
            )
            for verdict in verdicts
        ],
        clusters=[
            CoveredCluster(
                cluster=item.cluster,
                slots=item.slots,
                owned=dict(item.owned),
                missing=dict(item.missing),
                complete=item.complete,
                kept=item.kept,
                seen=dict(item.seen),
            )
            for item in covered
        ],
        unreadable=[
            UnreadableNode(
                node=item["node"], role=item["role"], error=item["error"], id=item.get("id")
            )
            for item in unreadable
        ],
    )
