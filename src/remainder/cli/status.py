"""``remainder status``: what runs here, and what it did."""

from __future__ import annotations

import json
import time
from typing import Any

import click

from remainder.cli.options import json_option
from remainder.errors import HostError
from remainder.kernel.report import reports


@click.command(name="status")
@click.option("--node", help="one node only; default: all that run on this machine")
@click.option("--watch", is_flag=True, help="keep showing, until Ctrl-C")
@click.option(
    "--interval", "interval_s", type=click.FloatRange(min=0.1), default=1.0, show_default=True,
    help="seconds between two looks of --watch",
)  # fmt: skip
@json_option
def command(node: str | None, *, watch: bool, interval_s: float, as_json: bool) -> None:
    """Show services, servers, packets and outcomes.  Changes nothing."""
    if as_json:
        while True:
            click.echo(json.dumps({"nodes": _look(node)}, indent=None if watch else 2))
            if not watch:
                return
            time.sleep(interval_s)
    from remainder.cli.status_view import View  # noqa: PLC0415  (rich is slow to import)

    view = View()
    if watch:
        view.follow(lambda: _look(node), interval_s)
    else:
        view.show(_look(node))


def _look(node: str | None) -> list[dict[str, Any]]:
    found = reports(node)
    if not found:
        raise HostError(
            "nothing runs on this machine; `remainder run FILE --interface IF` starts a balancer"
        )
    return found
