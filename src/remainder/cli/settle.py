"""``remainder settle``: forget earlier calculations."""

from __future__ import annotations

from pathlib import Path

import click

from remainder.change.edits import forget, section_named, sections_of
from remainder.cli.counting import counted
from remainder.cli.editing import Asked, asking, edit, section_option
from remainder.cli.options import file_argument
from remainder.config import Config


@click.command(name="settle")
@file_argument
@click.option("--keep", type=click.IntRange(min=0), default=0, show_default=True,
              help="how many earlier calculations to keep, the newest ones")  # fmt: skip
@section_option
@asking
def command(file: Path, keep: int, section: str | None, asked: Asked) -> None:
    """Remove earlier calculations from FILE that no session needs any more.

    A session that still needs one of them breaks.
    """

    def change(config: Config) -> Config:
        every = sections_of(config) if section is None else [section_named(config, section)]
        after = forget(config, every, keep)
        for old, new in zip(sections_of(config), sections_of(after), strict=True):
            lost = len(getattr(old, "before", ())) - len(getattr(new, "before", ()))
            if lost:
                need = "it" if lost == 1 else "them"
                click.echo(
                    f"{old.name} forgets {counted(lost, 'earlier calculation')}: sessions that "
                    f"still need {need} break"
                )
        return after

    edit(file, change, asked)
