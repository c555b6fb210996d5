"""``remainder detach``: stop a data plane that runs without a process."""

from __future__ import annotations

import click

from remainder.cli.options import node_option_saying
from remainder.errors import HostError
from remainder.observe import state
from remainder.roles.node import detach


@click.command(name="detach")
@node_option_saying("node whose data plane to stop")
def command(node: str) -> None:
    """Stop the data plane left running by `run --keep` or by a killed `run`."""
    process = state.tended_by(node)
    if process is not None:
        raise HostError(
            f"node {node!r} is run by process {process}; stop that one first",
            id="node-runs-already",
        )
    if not detach(node):
        raise HostError(
            f"no data plane of node {node!r} runs here; `remainder status` lists those that do",
            id="nothing-runs",
        )
    click.echo("detached")
