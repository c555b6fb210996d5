"""``remainder keepalived``: the configuration that lets balancers stand by for one another."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import click

from remainder.cli.options import file_argument, json_option, node_option
from remainder.redundancy.keepalived import plain, render, standby
from remainder.sources.file import load


@click.command(name="keepalived")
@file_argument
@node_option
@json_option
def command(file: Path, node: str, *, as_json: bool) -> None:
    """Print a keepalived.conf for a node of FILE.  Changes nothing.

    FILE has [vrrp] and a [[balancer]] for each node, in order of preference.
    `remainder run` and keepalived run on all of them; the first that lives is active.
    """
    from remainder.kernel import pins  # noqa: PLC0415  (needs the kernel's numbers)

    wanted = standby(load(file), node, data_plane=pins.folder_of(node) / "link")
    if as_json:
        click.echo(json.dumps(plain(wanted), indent=2))
        return
    click.echo(render(wanted), nl=False)
    if shutil.which("keepalived", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is None:
        click.echo(
            "note: keepalived is not installed here; on Debian or Ubuntu: "
            "apt-get install keepalived",
            err=True,
        )
