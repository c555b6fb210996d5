"""``remainder detach``: stop a data plane whose process is gone."""

from __future__ import annotations

import click

from remainder.cli.options import node_option
from remainder.errors import HostError
from remainder.observe import state
from remainder.roles.node import detach


@click.command(name="detach")
@node_option
def command(node: str) -> None:
    """Stop the data plane that `run --keep`, or a killed `run`, left behind."""
    process = state.tended_by(node)
    if process is not None:
        raise HostError(f"node {node!r} is run by process {process}; stop that one first")
    if not detach(node):
        raise HostError(f"nothing runs here for node {node!r}; `remainder status` lists what does")
    click.echo("detached")
