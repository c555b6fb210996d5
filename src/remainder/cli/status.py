"""``remainder status``: what runs here, and what it did."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import click

from remainder.cli.options import json_option
from remainder.errors import HostError
from remainder.observe.report import reports


@click.command(name="status")
@click.option("--node", help="one node only; default: all that run on this machine")
@click.option("--watch", is_flag=True, help="keep showing, until Ctrl-C")
@click.option(
    "--interval", "interval_s", type=click.FloatRange(min=0.1), default=1.0, show_default=True,
    help="seconds between two looks of --watch",
)  # fmt: skip
@json_option
def command(node: str | None, *, watch: bool, interval_s: float, as_json: bool) -> None:
    """Show services, servers, packets and outcomes.  Changes nothing.

    A node that cannot be told of is named on standard error, after the others.
    """
    show = _as_json if as_json else _as_text
    try:
        show(node, interval_s if watch else None)
    except BrokenPipeError:  # whoever read had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _as_text(node: str | None, interval_s: float | None) -> None:
    from remainder.cli.status_view import View  # noqa: PLC0415  (rich is slow to import)

    view = View()
    if interval_s is not None:
        view.follow(lambda: _look(node), interval_s)
        return
    found = _look(node)
    told = [item for item in found if "error" not in item]
    if told:
        view.show(told)
    _complain(found)


def _as_json(node: str | None, interval_s: float | None) -> None:
    """Once; with an interval again and again, one object a line."""
    while True:
        found = _look(node)
        click.echo(json.dumps({"nodes": found}, indent=2 if interval_s is None else None))
        if interval_s is None:
            _complain(found)
            return
        time.sleep(interval_s)


def _complain(found: list[dict[str, Any]]) -> None:
    """Raise HostError if a node cannot be told of."""
    why = [f"{item['node']} ({item['role']}): {item['error']}" for item in found if "error" in item]
    if why:
        raise HostError("; ".join(why))


def _look(node: str | None) -> list[dict[str, Any]]:
    found = reports(node)
    if not found:
        raise HostError(
            "nothing runs on this machine; `remainder run FILE --interface IF` starts a balancer"
        )
    return found
