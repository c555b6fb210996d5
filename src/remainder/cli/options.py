"""Options and helpers that several commands share."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import click

from remainder.cli.documents import ASKED
from remainder.config import NAME_PATTERN

F = TypeVar("F", bound=Callable[..., Any])

file_argument = click.argument("file", type=click.Path(path_type=Path), metavar="FILE")


def _node(ctx: click.Context, parameter: click.Parameter, value: str) -> str:
    del ctx, parameter
    if not re.fullmatch(NAME_PATTERN, value):
        raise click.BadParameter(
            f"{value!r} is not a node name; expected 1–63 letters, digits, '.', '_' or '-', "
            f"starting with a letter or digit"
        )
    return value


def node_option_saying(words: str) -> Callable[[F], F]:
    """``--node``, described by these words."""
    return click.option(
        "--node",
        metavar="NAME",
        default=socket.gethostname,
        callback=_node,
        show_default="this host's name",
        help=words,
    )


node_option = node_option_saying("act as this node of the file")


def _asked(ctx: click.Context, parameter: click.Parameter, value: bool) -> bool:  # noqa: FBT001
    """Note that JSON is asked for, so that a later mistake is reported as JSON too."""
    del parameter
    ctx.meta[ASKED] = value
    return value


json_option = click.option(
    "--json", "as_json", is_flag=True, is_eager=True, callback=_asked, help="print JSON"
)


def with_id(sentence: str, name: str | None) -> str:
    """A sentence and behind it the id of its message, if it has one."""
    return f"{sentence} [{name}]" if name else sentence


def writable(ctx: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:
    """Reject an output path that cannot be written, before the work starts; leaves no file."""
    del ctx, parameter
    if value is None:
        return None
    is_new = not value.exists()
    try:
        os.close(os.open(value, os.O_WRONLY | os.O_CREAT, 0o666))
    except OSError as error:
        raise click.BadParameter(
            f"{value} cannot be written ({error.strerror}); choose a file in an existing directory"
        ) from None
    if is_new:
        value.resolve().unlink()
    return value


def sudo() -> str:
    """This command as root: by its full path, since sudo has its own PATH."""
    program = Path(sys.argv[0]).absolute()
    is_module = program.name == "__main__.py"
    by_path = [sys.executable, "-m", "remainder"] if is_module else [str(program)]
    return shlex.join(["sudo", *by_path, *sys.argv[1:]])


def end_cleanly() -> None:
    """Let SIGTERM and a closed terminal unwind like Ctrl-C, so that everything is cleaned up.

    Not for ``run``, which outlives its terminal and reloads its file on SIGHUP.
    """

    def unwind(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, unwind)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup
        signal.signal(signal.SIGHUP, unwind)
