"""``remainder weight``: another share for a server."""

from __future__ import annotations

from pathlib import Path

import click

from remainder.change.edits import sections_with, weigh, with_sections
from remainder.cli.editing import Asked, asking, edit, section_option
from remainder.cli.options import file_argument
from remainder.config import Config


@click.command(name="weight")
@file_argument
@click.argument("name")
@click.argument("weight", type=click.IntRange(0, 255))
@section_option
@asking
def command(file: Path, name: str, weight: int, section: str | None, asked: Asked) -> None:
    """Give NAME another WEIGHT (0-255) in FILE.

    The plan is shown first.
    """

    def change(config: Config) -> Config:
        found = sections_with(config, name, section)
        return with_sections(config, found, lambda it: weigh(it, name, weight))

    edit(file, change, asked)
