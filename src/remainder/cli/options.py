"""What several commands ask alike."""

from __future__ import annotations

import re
import signal
import socket
from pathlib import Path
from types import FrameType

import click

from remainder.config import NAME_PATTERN

file_argument = click.argument("file", type=click.Path(path_type=Path), metavar="FILE")


def _node(ctx: click.Context, parameter: click.Parameter, value: str) -> str:
    del ctx, parameter
    if not re.fullmatch(NAME_PATTERN, value):
        raise click.BadParameter(
            f"{value!r} is no name of a node; use letters, digits, '.', '_' and '-', at most 63"
        )
    return value


node_option = click.option(
    "--node",
    default=socket.gethostname,
    callback=_node,
    show_default="this host's name",
    help="whose part of the file is meant",
)

json_option = click.option("--json", "as_json", is_flag=True, help="for programs")


def end_cleanly() -> None:
    """Let SIGTERM and a closed terminal unwind as Ctrl-C does: what was built is taken down.

    Not for ``run``: it outlives its terminal, and reads its file at SIGHUP.
    """

    def unwind(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, unwind)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup
        signal.signal(signal.SIGHUP, unwind)
