"""``remainder agree``: would all nodes give the same answer?"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from remainder.cli.counting import counted
from remainder.cli.documents import AgreeDocument, ComparedNode, CoveredCluster, show
from remainder.cli.options import file_argument, json_option
from remainder.config import Config
from remainder.errors import ConfigError, Disagreement
from remainder.fleet import member_plan, return_plan, server_plan
from remainder.observe.agreement import (
    Comparison,
    Coverage,
    compare,
    coverage,
    read_reports,
)
from remainder.plan import Plan, make_plan
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
    verdicts = [compare(_plan_for(config, report), report) for report in told]
    covered = coverage(told)
    if as_json:
        show(_document(verdicts, covered))
    else:
        click.echo("\n".join(_lines(verdicts, covered)))
    differing = [verdict.node for verdict in verdicts if not verdict.agrees]
    if differing:
        raise Disagreement(
            f"{', '.join(dict.fromkeys(differing))} would answer differently from {file}; "
            f"give every node the same file",
            id="answers-differ",
        )
    gaps = [item.cluster for item in covered if not item.complete]
    if gaps:
        raise Disagreement(
            f"cluster {', '.join(gaps)} has slots that no reported member keeps; start the missing "
            f"members, add their reports, or remove them from the file on all nodes",
            id="slots-uncovered",
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
    if report["role"] == "server":
        return server_plan(config, report["node"])
    return make_plan(config)


def _told(reports: tuple[str, ...]) -> list[Mapping[str, Any]]:
    if not reports:
        from remainder.observe.report import reports as running  # noqa: PLC0415  (needs libbpf)

        found = running()
        if not found:
            raise ConfigError(
                "",
                "nothing runs on this host; pass the output of `remainder status --json` "
                "from other nodes",
            )
        return [report for report in found if "error" not in report]
    told: list[Mapping[str, Any]] = []
    for name in reports:
        try:
            text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
            content = json.loads(text)
        except OSError as error:
            raise ConfigError(name, f"cannot read the file ({error.strerror})") from None
        except ValueError:
            raise ConfigError(
                name, "not JSON; expected the output of `remainder status --json`"
            ) from None
        told += read_reports(name, content)
    return told


def _only(told: list[Mapping[str, Any]], nodes: list[str]) -> list[Mapping[str, Any]]:
    known = {report["node"] for report in told}
    for node in nodes:
        if node not in known:
            raise ConfigError(
                "--nodes", f"no report from {node!r}; reports are from {', '.join(sorted(known))}"
            )
    return [report for report in told if report["node"] in nodes]


def _lines(verdicts: list[Comparison], covered: list[Coverage]) -> list[str]:
    lines = []
    for verdict in verdicts:
        mark = "agrees" if verdict.agrees else "DIFFERS"
        lines.append(f"{verdict.node} ({verdict.role})  {mark}: {verdict.reason}")
        if verdict.flow is not None:
            lines.append(
                f"  {verdict.flow}: the file says {verdict.ours}, "
                f"{verdict.node} says {verdict.theirs}"
            )
    for item in covered:
        owned = " + ".join(f"{count:,} ({member})" for member, count in item.owned.items())
        lines.append(
            f"cluster {item.cluster}: {owned} = {sum(item.owned.values()):,} of "
            f"{counted(item.slots, 'slot')}, "
            f"{'no gap, no overlap' if item.complete else 'incomplete'}; "
            f"{counted(item.kept, 'packet')} kept"
        )
        lines += [
            f"  no member keeps the {counted(count, 'slot')} of {member}, which is not running"
            for member, count in item.missing.items()
        ]
    return lines


def _document(verdicts: list[Comparison], covered: list[Coverage]) -> AgreeDocument:
    return AgreeDocument(
        agree=all(verdict.agrees for verdict in verdicts),
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
    )
