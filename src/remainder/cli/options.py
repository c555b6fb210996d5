"""What several commands ask alike."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import sys
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


def writable(ctx: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:
    """Refuse a path before the work whose result could not be written there; leaves nothing."""
    del ctx, parameter
    if value is None:
        return None
    is_new = not value.exists()
    try:
        os.close(os.open(value, os.O_WRONLY | os.O_CREAT, 0o666))
    except OSError as error:
        raise click.BadParameter(
            f"{value} cannot be written ({error.strerror}); name a file in a folder that exists"
        ) from None
    if is_new:
        value.resolve().unlink()
    return value


def sudo() -> str:
    """This command as root: by its path, since sudo looks in folders of its own."""
    program = Path(sys.argv[0]).absolute()
    is_module = program.name == "__main__.py"
    by_path = [sys.executable, "-m", "remainder"] if is_module else [str(program)]
    return shlex.join(["sudo", *by_path, *sys.argv[1:]])


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
