"""``remainder drain``: no new sessions for a server."""

from __future__ import annotations

from pathlib import Path

import click

from remainder.change.edits import sections_with, weigh, with_sections
from remainder.cli.editing import Asked, asking, edit, section_option
from remainder.cli.options import file_argument
from remainder.config import Config


@click.command(name="drain")
@file_argument
@click.argument("name")
@section_option
@asking
def command(file: Path, name: str, section: str | None, asked: Asked) -> None:
    """Give NAME weight 0 in FILE: no new sessions, while the open ones end in peace.

    The plan is shown first.
    """

    def change(config: Config) -> Config:
        found = sections_with(config, name, section)
        return with_sections(config, found, lambda it: weigh(it, name, 0))

    edit(file, change, asked)
