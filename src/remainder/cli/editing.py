"""What the commands that edit a file share: show the plan, ask, write in one step, keep the former.

Rule: whatever can fail has failed before the first byte is written.
"""

from __future__ import annotations

import codecs
import difflib
import os
import stat
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import click

from remainder.change.outlook import outlook
from remainder.change.rewriting import rewritten
from remainder.cli import plan_view
from remainder.cli.plan import capture_option, check_moved, flows_option, given, max_moved_option
from remainder.config import Config
from remainder.errors import ConfigError, HostError
from remainder.fleet import tiers_of
from remainder.sources.file import loads, text_of
from remainder.sources.lines import lines_of

F = TypeVar("F", bound=Callable[..., Any])

FORMER: Final = ".previous"
"""What is appended to the name of the file that was."""


class Asked(NamedTuple):
    """How a change is to be made."""

    yes: bool
    dry_run: bool
    max_moved: Fraction | None
    flows: Path | None
    capture: Path | None


section_option = click.option(
    "--in", "section", metavar="SECTION", help="only in this service, cluster or return path"
)


def asking(command: F) -> F:
    """The options of every command that edits; they come as one argument ``asked``."""

    def wrapped(**options: Any) -> Any:
        asked = Asked(**{name: options.pop(name) for name in Asked._fields})
        return command(asked=asked, **options)

    wrapped.__name__, wrapped.__doc__ = command.__name__, command.__doc__
    wrapped.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    for option in (
        capture_option,
        flows_option,
        max_moved_option,
        click.option("--dry-run", is_flag=True, help="show what would change, and change nothing"),
        click.option("--yes", is_flag=True, help="do not ask"),
    ):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[return-value]


def edit(file: Path, change: Callable[[Config], Config], asked: Asked) -> None:
    """Change a file as ``change`` changes its values.

    Raises ConfigError or RemainderError if that cannot be; then nothing has changed.
    """
    text = text_of(file)
    plain = text.replace("\r\n", "\n")
    before = loads(plain, name=str(file), folder=file.parent)
    after = change(before)
    new = rewritten(plain, before, after, lines_of=lines_of, name=str(file))
    if loads(new, name=str(file), folder=file.parent) != after:
        raise ConfigError(
            str(file), "the sections are written in a way that cannot be edited; edit it by hand"
        )
    install(file, text, new.replace("\n", "\r\n") if "\r\n" in text else new, asked)


def install(file: Path, text: str, new: str, asked: Asked) -> None:
    """Show what the new text changes, ask, and write it; the former one is kept beside it."""
    if new == text:
        click.echo("nothing to change")
        return
    before, after = (
        loads(one.replace("\r\n", "\n"), name=str(file), folder=file.parent) for one in (text, new)
    )
    found = outlook(before, after, given(tiers_of(before), after, asked.flows, asked.capture))
    click.echo(plan_view.text(found))
    if asked.dry_run:
        click.echo(_compared(file, text, new))
    check_moved(found, asked.max_moved)
    if asked.dry_run:
        return
    if not asked.yes:
        _confirm(file)
    _write(file, text, new)
    click.echo(
        f"{file} changed; the former one is {former_of(file)}, and `remainder undo {file}` "
        f"takes it back"
    )


def former_of(file: Path) -> Path:
    """Where the former file is kept."""
    path = file.resolve()
    return path.with_name(path.name + FORMER)


def _compared(file: Path, text: str, new: str) -> str:
    lines = difflib.unified_diff(
        text.splitlines(), new.splitlines(), str(file), f"{file} (new)", lineterm="", n=1
    )
    return "\n".join(("", *lines))


def _confirm(file: Path) -> None:
    try:
        agreed = click.confirm(f"Change {file}?")
    except click.Abort:
        if sys.stdin.isatty():
            raise
        raise click.UsageError("nobody answered, so nothing has changed; add --yes") from None
    if not agreed:
        click.echo("nothing has changed")
        raise click.exceptions.Exit(1)


def _write(file: Path, text: str, new: str) -> None:
    """Both files in one step each.  Raises HostError, or ConfigError if the file has changed."""
    if text_of(file) != text:
        raise ConfigError(str(file), "the file was changed in the meantime; run the command again")
    path = file.resolve()
    mark = "\ufeff" if path.read_bytes().startswith(codecs.BOM_UTF8) else ""
    try:
        like = path.stat()
        _put(former_of(file), path.read_bytes(), like)
        _put(path, (mark + new).encode(), like)
    except OSError as error:
        raise HostError(
            f"cannot write in {path.parent} ({error.strerror}), so {file} stays as it was; "
            f"make the directory writable, or run as its owner"
        ) from None


def _put(path: Path, content: bytes, like: os.stat_result) -> None:
    """Replace a file in one step; readable for the same people as another."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as temporary:
            temporary.write(content)
            temporary.flush()
            os.fchmod(descriptor, stat.S_IMODE(like.st_mode))
            if (like.st_uid, like.st_gid) != (os.geteuid(), os.getegid()):
                with suppress(PermissionError):
                    os.fchown(descriptor, like.st_uid, like.st_gid)
            os.fsync(descriptor)
        Path(name).rename(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
