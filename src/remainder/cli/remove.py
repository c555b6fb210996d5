"""``remainder remove``: a server, member or router leaves."""

from __future__ import annotations

from pathlib import Path

import click

from remainder.change.edits import remove, sections_with, with_sections
from remainder.cli.editing import Asked, asking, edit, section_option
from remainder.cli.options import file_argument
from remainder.config import Config


@click.command(name="remove")
@file_argument
@click.argument("name")
@section_option
@asking
def command(file: Path, name: str, section: str | None, asked: Asked) -> None:
    """Remove NAME from FILE.

    The plan is shown first.  Its sessions are still passed on to a removed
    server for as long as the earlier calculation is listed.
    """

    def change(config: Config) -> Config:
        found = sections_with(config, name, section)
        return with_sections(config, found, lambda it: remove(it, name))

    edit(file, change, asked)
