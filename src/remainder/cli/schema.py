"""``remainder schema``: the JSON schema of the file, for editors."""

from __future__ import annotations

import json

import click

from remainder.cli.options import json_option
from remainder.file_schema import json_schema


@click.command(name="schema")
@json_option
def command(*, as_json: bool) -> None:
    """Print the JSON schema of a Remainder file (--json makes no difference).

    Editors with a TOML language server check a file against it as you type.
    """
    del as_json
    click.echo(json.dumps(json_schema(), indent=2))
