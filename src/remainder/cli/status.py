"""``remainder status``: what runs here, with counters."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import click
import msgspec

from remainder.cli.documents import StatusDocument, show
from remainder.cli.options import json_option
from remainder.errors import HostError
from remainder.observe.report import reports
from remainder.printable import all_printable


@click.command(name="status")
@click.option("--node", metavar="NAME", help="show only this node  [default: all on this host]")
@click.option("--watch", is_flag=True, help="refresh until Ctrl-C")
@click.option(
    "--interval", "interval_s", type=click.FloatRange(min=0.1), default=1.0, show_default=True,
    help="refresh interval for --watch, in seconds",
)  # fmt: skip
@json_option
def command(node: str | None, *, watch: bool, interval_s: float, as_json: bool) -> None:
    """Show services, servers, packets and outcomes.  Changes nothing.

    Nodes that cannot be read are reported on stderr after the rest.
    """
    report = _as_json if as_json else _as_text
    try:
        report(node, interval_s if watch else None)
    except BrokenPipeError:  # the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _as_text(node: str | None, interval_s: float | None) -> None:
    from remainder.cli.status_view import View  # noqa: PLC0415  (rich is slow to import)

    view = View()
    if interval_s is not None:
        view.follow(lambda: all_printable(_look(node)), interval_s)
        return
    found = all_printable(_look(node))
    told = [item for item in found if "error" not in item]
    if told:
        view.show(told)
    _complain(found)


def _as_json(node: str | None, interval_s: float | None) -> None:
    """Once; with an interval repeatedly, one document a line."""
    while True:
        found = _look(node)
        document = {
            "version": 1,
            "nodes": [item for item in found if "error" not in item],
            "unreadable": [item for item in found if "error" in item],
        }
        show(msgspec.convert(document, StatusDocument), line=interval_s is not None)
        if interval_s is None:
            _complain(found)
            return
        time.sleep(interval_s)


def _complain(found: list[dict[str, Any]]) -> None:
    """Raise HostError if a node cannot be read."""
    why = [f"{item['node']} ({item['role']}): {item['error']}" for item in found if "error" in item]
    if why:
        raise HostError("; ".join(why))


def _look(node: str | None) -> list[dict[str, Any]]:
    found = reports(node)
    if not found:
        raise HostError(
            "nothing runs on this host; start a balancer with `remainder run FILE --interface IF`",
            id="nothing-runs",
        )
    return found
