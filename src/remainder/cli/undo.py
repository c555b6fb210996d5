"""``remainder undo``: the former file again."""

from __future__ import annotations

from pathlib import Path

import click

from remainder.cli.editing import Asked, asking, former_of, install
from remainder.cli.options import file_argument
from remainder.errors import ConfigError
from remainder.sources.file import load, text_of


@click.command(name="undo")
@file_argument
@asking
def command(file: Path, asked: Asked) -> None:
    """Take back the last change of FILE that a command made; a second undo makes it again.

    The plan is shown first.
    """
    load(file)
    former = former_of(file)
    if not former.exists():
        raise ConfigError(str(file), f"nothing to undo: there is no {former}")
    load(former)
    install(file, text_of(file), text_of(former), asked)
