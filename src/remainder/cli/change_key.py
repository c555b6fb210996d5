"""``remainder change-key``: another formula."""

from __future__ import annotations

from pathlib import Path

import click

from remainder.change.edits import rekey, section_named, with_sections
from remainder.cli.editing import Asked, asking, edit, section_option
from remainder.cli.options import file_argument
from remainder.config import Config
from remainder.errors import ConfigError
from remainder.selection import ALGORITHMS
from remainder.selection.key import parse_key


@click.command(name="change-key")
@file_argument
@click.argument("key", required=False)
@click.option("--table", type=click.Choice(list(ALGORITHMS)), help="change the table too")
@click.option("--slots", type=click.IntRange(min=1), help="change the number of slots too")
@section_option
@asking
def command(
    file: Path,
    key: str | None,
    table: str | None,
    slots: int | None,
    *,
    section: str | None,
    asked: Asked,
) -> None:
    """Change the formula in FILE: its KEY, like 'hash(src_ip, src_port)', or its table.

    The plan is shown first.
    """
    if key is None and table is None and slots is None:
        raise ConfigError("", "nothing to change is given; expected a KEY, --table or --slots")
    parsed = None if key is None else parse_key(key)

    def change(config: Config) -> Config:
        one = section_named(config, section)
        return with_sections(config, [one], lambda it: rekey(it, parsed, table=table, slots=slots))

    edit(file, change, asked)
