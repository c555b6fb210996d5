"""``remainder check``: is the file valid, is it skewed, can this host run it?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from remainder.cli.options import file_argument, json_option, node_option
from remainder.config import Config
from remainder.errors import ConfigError
from remainder.flow import endpoint
from remainder.plan import Plan, make_plan
from remainder.selection.skew import Skew, skews
from remainder.sources.file import load


@click.command(name="check")
@file_argument
@click.option(
    "--interface", metavar="IF", help="look at this interface too; default: from the file"
)
@node_option
@click.option("--no-host", is_flag=True, help="the file only, not this machine")
@json_option
def command(file: Path, interface: str | None, node: str, *, no_host: bool, as_json: bool) -> None:
    """Check FILE, warn where its formula is known to be skewed, and try this host.

    Changes nothing.  Exits with 2 if the file is wrong; a skew or a host that
    cannot run it is told, and exits with 0.
    """
    try:
        config = load(file)
        plan = make_plan(config)
    except ConfigError as error:
        if as_json:
            click.echo(
                json.dumps(
                    {"valid": False, "error": {"where": error.where, "problem": error.problem}}
                )
            )
        raise
    found = [(planned.name, skew) for planned in plan.services for skew in skews(planned.service)]
    host = [] if no_host else _host(config, plan, interface, node)
    if as_json:
        click.echo(json.dumps(_plain(plan, found, host), indent=2))
    else:
        click.echo(_text(file, plan, found, host))


def _host(config: Config, plan: Plan, interface: str | None, node: str) -> list[dict[str, Any]]:
    from remainder.kernel.probe import probe  # noqa: PLC0415  (netlink is slow to import)

    sections = [section.interface for section in config.balancer if section.name == node]
    name = interface or (sections[0] if sections else None)
    return [
        {"need": finding.need, "met": finding.met, "detail": finding.detail}
        for finding in probe(plan, name)
    ]


def _plain(plan: Plan, found: list[tuple[str, Skew]], host: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "valid": True,
        "fingerprint": plan.fingerprint,
        "services": [
            {
                "name": planned.name,
                "vip": planned.service.vip,
                "port": planned.service.port,
                "protocol": planned.service.protocol,
                "key": str(planned.key),
                "table": planned.service.table,
                "slots": planned.slots,
                "servers": len(planned.servers),
            }
            for planned in plan.services
        ],
        "skews": [
            {
                "service": name,
                "severity": skew.severity,
                "sentence": skew.sentence,
                "arithmetic": skew.arithmetic,
                "advice": skew.advice,
            }
            for name, skew in found
        ],
        "host": host,
    }


def _text(file: Path, plan: Plan, found: list[tuple[str, Skew]], host: list[dict[str, Any]]) -> str:
    lines = [f"{file}: valid, {len(plan.services)} services, tables {plan.fingerprint[:12]}"]
    for planned in plan.services:
        service = planned.service
        port = "" if service.port_number else "any port "
        lines.append(
            f"  {planned.name}  {endpoint(service.ip, service.port_number or 0)} {port}"
            f"{service.protocol}: {planned.key}, {service.table}, {planned.slots:,} slots, "
            f"{len(planned.servers)} servers"
        )
        for name, skew in found:
            if name == planned.name:
                lines += [
                    f"    {skew.severity}: {skew.sentence}",
                    f"      {skew.arithmetic}",
                    *([f"      {skew.advice}"] if skew.advice else []),
                ]
    if host:
        lines.append("this host:")
        lines += [
            f"  {'ok' if item['met'] else 'NO'}  {item['need']}: {item['detail']}" for item in host
        ]
    return "\n".join(lines)
