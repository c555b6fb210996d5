"""The command line: nouns look, verbs change.

Each command is one line below and one file: here, or in the package that
``APART`` names, which brings it as an entry point.  They are imported when
asked for, so that ``where`` answers at once.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import Final

import click

from remainder import __version__
from remainder.errors import ConfigError, RemainderError

LOOK: Final[Mapping[str, str]] = {
    "check": "is the file valid, is it skewed, can this host run it?",
    "where": "which server does a flow go to, and why?",
    "status": "what runs here, and what did it do?",
    "bench": "what does a packet cost, beside others?  (--wire, --flood: in namespaces it makes)",
    "keepalived": "which keepalived.conf lets this node stand by?",
    "agree": "would all nodes give the same answer?",
    "schema": "the JSON schema of the file, for editors",
}
"""Commands that change nothing; each speaks --json."""

CHANGE: Final[Mapping[str, str]] = {
    "run": "balance on an interface until stopped",
    "detach": "stop a data plane that was left running",
    "lab": "open a network of namespaces to play in",
    "demo": "see it work on real traffic, in namespaces",
}
"""Commands that change something."""

APART: Final[Mapping[str, str]] = {"bench": "bench", "demo": "lab", "lab": "lab"}
"""Commands that a package of its own brings; it is installed as this extra of ours."""

ENTRY_POINTS: Final = "remainder.commands"


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return [*LOOK, *CHANGE]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in self.list_commands_plain():
            return None
        if cmd_name in APART:
            command = _from_apart(cmd_name)
        else:
            command = importlib.import_module(f"remainder.cli.{cmd_name}").command
        if not isinstance(command, click.Command):
            raise TypeError(cmd_name)
        return command

    def list_commands_plain(self) -> frozenset[str]:
        """Every name."""
        return frozenset({*LOOK, *CHANGE})

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        for title, commands in (("Look (changes nothing)", LOOK), ("Change", CHANGE)):
            with formatter.section(title):
                formatter.write_dl(list(commands.items()))


def _from_apart(name: str) -> object:
    # Only here: finding out what is installed costs more than most commands.
    from importlib.metadata import entry_points  # noqa: PLC0415

    for entry in entry_points(group=ENTRY_POINTS, name=name):
        return entry.load()
    raise click.UsageError(
        f"`remainder {name}` is not installed; get it with: pip install 'remainder[{APART[name]}]'"
    )


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="remainder %(version)s")
def group() -> None:
    """Remainder: a stateless layer-4 load balancer.  The server is the remainder.

    A packet gives a key; the key picks a slot; the slot names its owner.
    """


def main() -> None:
    """The entry point: a user's mistake becomes one sentence on stderr.

    Exit codes: 0 fine, 1 the host or an answer is not as it should be,
    2 the file or the command line is wrong, 130 Ctrl-C.
    """
    try:
        sys.exit(group.main(standalone_mode=False) or 0)
    except ConfigError as error:
        _complain(str(error), 2)
    except RemainderError as error:
        _complain(str(error), 1)
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message(), file=sys.stderr)
        sys.exit(2)
    except click.UsageError as error:
        hint = f" (try `{error.ctx.command_path} --help`)" if error.ctx else ""
        _complain(f"{error.format_message()}{hint}", 2)
    except click.ClickException as error:
        _complain(error.format_message(), error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output went away
        sys.exit(0)
    except OSError as error:
        _complain(f"{error.filename or 'the output'}: {error.strerror or error}", 1)


def _complain(sentence: str, code: int) -> None:
    print(f"remainder: {sentence}", file=sys.stderr)
    sys.exit(code)
