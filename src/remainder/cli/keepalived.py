"""``remainder keepalived``: the keepalived configuration of an active/standby pair."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import click
import msgspec

from remainder.cli.documents import show
from remainder.cli.keepalived_documents import KeepalivedDocument
from remainder.cli.options import file_argument, json_option, node_option
from remainder.redundancy.keepalived import plain, render, standby
from remainder.sources.file import load


@click.command(name="keepalived")
@file_argument
@node_option
@json_option
def command(file: Path, node: str, *, as_json: bool) -> None:
    """Print the keepalived.conf for a node of FILE.  Changes nothing.

    FILE needs [vrrp], and a [[balancer]] for each node, in order of preference.
    Run `remainder run` and keepalived on all of them; the first one alive is active.
    """
    from remainder.kernel import attached, pins  # noqa: PLC0415  (needs the kernel's numbers)

    link = pins.folder_of(node) / "link"
    wanted = standby(load(file), node, data_plane=link, check=attached.command_for(str(link)))
    if as_json:
        show(msgspec.convert(plain(wanted), KeepalivedDocument))
        return
    click.echo(render(wanted), nl=False)
    if shutil.which("keepalived", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is None:
        click.echo(
            "note: keepalived is not installed on this host; on Debian or Ubuntu: "
            "apt-get install keepalived",
            err=True,
        )
