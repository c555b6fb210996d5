"""``remainder check``: is the file valid, is it skewed, can this host run it?"""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import click

from remainder.choice import OwnerState, owner_states
from remainder.cli.counting import counted
from remainder.cli.documents import (
    CheckDocument,
    CheckedNeed,
    CheckedService,
    CheckedSkew,
    CheckedTier,
    CheckFailure,
    problem_of,
    show,
)
from remainder.cli.documents_earlier import CheckedEarlier
from remainder.cli.options import file_argument, json_option, node_option
from remainder.config import Config
from remainder.errors import ConfigError, HostError
from remainder.explain import place
from remainder.fleet import Part, Tier, nodes_of, parts_of, tiers_of
from remainder.lint.both_ways import partings
from remainder.lint.skew import Skew, skews
from remainder.lint.tiers import polarisations
from remainder.lint.without_chance import without_chance
from remainder.plan import Plan, PlannedChoice, make_plan
from remainder.printable import printable_lines
from remainder.sources.file import exposed, load


@click.command(name="check")
@file_argument
@click.option("--interface", metavar="IF", help="interface to check  [default: from the file]")
@node_option
@click.option("--no-host", is_flag=True, help="check only the file, not this host")
@click.option(
    "--strict", is_flag=True, help="exit with 1 if this host cannot run the file (any NO)"
)
@json_option
def command(
    file: Path, interface: str | None, node: str, *, no_host: bool, strict: bool, as_json: bool
) -> None:
    """Check FILE for mistakes and skew, and try whether this host can run it.

    Changes nothing.  Exits with 2 if the file has a mistake.  Skew warnings and
    host problems are reported but do not change the exit status; with --strict,
    host problems exit with 1.
    """
    try:
        config = load(file)
        tiers = tiers_of(config)
        services = [tier.plan for tier in tiers if tier.kind == "service"]
        plan = services[0] if services else make_plan(config)
    except ConfigError as error:
        if as_json:
            show(CheckFailure(error=problem_of(error, str(error))))
        raise
    planned = [item for tier in tiers if tier.kind != "return_path" for item in tier.plan.choices]
    found = [(item.name, skew) for item in planned for skew in skews(item.choice)]
    warnings = [parting.sentence for parting in partings(config)]
    warnings += [lost.sentence for lost in without_chance(config)]
    warnings += [polarisation.sentence for polarisation in polarisations(config, tiers)]
    warnings += [lost.sentence for lost in without_chance(config)]
    if (readable := exposed(file, config)) is not None:
        warnings.append(readable)
    host = [] if no_host else _host(config, plan, interface, node)
    if as_json:
        show(_document(plan, tiers, found, host=host, warnings=warnings))
    else:
        click.echo(_text(file, plan, tiers, found, host=host, warnings=warnings))
    missing = [item["need"] for item in host if not item["met"]]
    if strict and missing:
        raise HostError(
            f"this host cannot run {file}: {', '.join(missing)}; see above", id="host-unready"
        )


def _host(config: Config, plan: Plan, interface: str | None, node: str) -> list[dict[str, Any]]:
    """Try what this node would run; a node that is not in the file tries to balance."""
    from remainder.diagnose.probe import probe, probe_host  # noqa: PLC0415  (needs libbpf)

    named = nodes_of(config)
    if node in named:
        parts = parts_of(config, node)
    else:
        other = plan if plan.choices else tiers_of(config)[0].plan
        parts = [Part(role=other.role, interface=None, plan=other)]
    unknown = [
        {
            "need": f"node {node!r} in the file",
            "met": False,
            "detail": f"the file has only {', '.join(named)}; choose with --node",
        }
    ]
    findings = [("", finding) for finding in probe_host([part.role for part in parts])]
    for part in parts:
        whose = f"{part.role}: " if len(parts) > 1 else ""
        findings += [(whose, finding) for finding in probe(part, interface or part.interface)]
    return (unknown if named and node not in named else []) + [
        {"need": f"{whose}{finding.need}", "met": finding.met, "detail": finding.detail}
        for whose, finding in findings
    ]


def _document(
    plan: Plan,
    tiers: list[Tier],
    found: list[tuple[str, Skew]],
    *,
    host: list[dict[str, Any]],
    warnings: list[str],
) -> CheckDocument:
    return CheckDocument(
        fingerprint=_fingerprint(plan, tiers),
        services=[
            CheckedService(
                name=planned.name,
                **planned.choice.match.written()._asdict(),
                key=str(planned.key),
                table=planned.choice.table,
                slots=planned.slots,
                servers=len(planned.owners),
                before=[
                    CheckedEarlier(
                        key=str(earlier.key),
                        table=earlier.choice.table,
                        slots=earlier.slots,
                        servers=len(earlier.owners),
                    )
                    for earlier in planned.before
                ],
                states=owner_states(planned.choice) if planned.before else {},
            )
            for planned in plan.choices
        ],
        tiers=[
            CheckedTier(kind=tier.kind, name=tier.name, fingerprint=tier.plan.fingerprint)
            for tier in tiers
        ],
        skews=[
            CheckedSkew(
                service=name,
                severity=skew.severity,
                sentence=skew.sentence,
                arithmetic=skew.arithmetic,
                advice=skew.advice,
            )
            for name, skew in found
        ],
        warnings=warnings,
        host=[CheckedNeed(**item) for item in host],
    )


def _text(
    file: Path,
    plan: Plan,
    tiers: list[Tier],
    found: list[tuple[str, Skew]],
    *,
    host: list[dict[str, Any]],
    warnings: list[str],
) -> str:
    lines = [f"{file}: valid, {_count(plan, tiers)}, tables {_fingerprint(plan, tiers)[:12]}"]
    for tier in tiers:
        for planned in tier.plan.choices:
            lines += [_line(tier, planned), *_before(tier, planned)]
            for name, skew in found:
                if name == planned.name and tier.kind != "return_path":
                    lines += [
                        f"    {skew.severity}: {skew.sentence}",
                        f"      {skew.arithmetic}",
                        *([f"      {skew.advice}"] if skew.advice else []),
                    ]
    lines += [f"  warning: {sentence}" for sentence in warnings]
    if host:
        lines.append("this host:")
        lines += [
            f"  {'ok' if item['met'] else 'NO'}  {item['need']}: {item['detail']}" for item in host
        ]
    return printable_lines(lines)


_OWNERS = {"service": "server", "cluster": "member", "return_path": "router"}


def _line(tier: Tier, planned: PlannedChoice) -> str:
    return (
        f"  {planned.name}  {place(planned.choice.match)}: {planned.key}, {planned.choice.table}, "
        f"{counted(planned.slots, 'slot')}, {counted(len(planned.owners), _OWNERS[tier.kind])}"
    )


def _before(tier: Tier, planned: PlannedChoice) -> list[str]:
    """The earlier calculations, and who has sessions under which of them."""
    lines = [
        f"    before: {earlier.key}, {earlier.choice.table}, {counted(earlier.slots, 'slot')}, "
        f"{counted(len(earlier.owners), _OWNERS[tier.kind])}"
        for earlier in planned.before
    ]
    if lines:
        states = owner_states(planned.choice)
        told = [
            f"{state} {' '.join(names)}"
            for state in get_args(OwnerState)
            if (names := [name for name, its in states.items() if its == state])
        ]
        lines.append(f"    {'; '.join(told)}")
    return lines


def _count(plan: Plan, tiers: list[Tier]) -> str:
    clusters = sum(tier.kind == "cluster" for tier in tiers)
    paths = sum(tier.kind == "return_path" for tier in tiers)
    counts = ((len(plan.choices), "service"), (clusters, "cluster"), (paths, "return path"))
    return ", ".join(counted(number, thing) for number, thing in counts if number)


def _fingerprint(plan: Plan, tiers: list[Tier]) -> str:
    """The balancer's; if the file has no service, that of its first cluster or return path."""
    return plan.fingerprint if plan.choices else tiers[0].plan.fingerprint
