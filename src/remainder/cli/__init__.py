"""The command line: nouns look, verbs change.

Each command is one line below and one file: here, or in the package in ``APART``,
which provides it as an entry point.  Commands are imported only when called, so
that ``where`` answers at once.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import Any, Final

import click

from remainder import __version__
from remainder.cli.documents import ANSWERED, ASKED, Failure, problem_of, show
from remainder.cli.options import with_id
from remainder.errors import ConfigError, RemainderError
from remainder.printable import printable_lines

LOOK: Final[Mapping[str, str]] = {
    "check": "Check a file for mistakes and skew, and whether this host can run it",
    "where": "Show which server a flow goes to, and why",
    "plan": "Show what a new file would move and break",
    "status": "Show what runs here, with counters",
    "bench": "Benchmark the data plane and the control plane",
    "keepalived": "Print the keepalived.conf for a node",
    "agree": "Check that all nodes would give the same answers",
    "schema": "Print the JSON schema of the file, for editors",
}
"""Commands that change nothing; each has --json."""

CHANGE: Final[Mapping[str, str]] = {
    "run": "Run this node's roles until stopped",
    "add": "Add a server to a file",
    "drain": "Give a server no new sessions",
    "remove": "Remove a server from a file",
    "weight": "Change the weight of a server",
    "change-key": "Change the formula of a file",
    "settle": "Forget earlier calculations of a file",
    "undo": "Take back the last change of a file",
    "detach": "Stop a data plane that was left running",
    "lab": "Open a test network of namespaces with a shell in it",
    "demo": "Show it at work on real traffic, in namespaces",
}
"""Commands that change something."""

APART: Final[Mapping[str, str]] = {"bench": "bench", "demo": "lab", "lab": "lab"}
"""Commands in packages of their own → the extra that installs the package."""

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
            command = importlib.import_module(f"remainder.cli.{_module(cmd_name)}").command
        if not isinstance(command, click.Command):
            raise TypeError(cmd_name)
        return command

    def list_commands_plain(self) -> frozenset[str]:
        """Every name."""
        return frozenset({*LOOK, *CHANGE})

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        for title, commands in (("Look (change nothing)", LOOK), ("Change", CHANGE)):
            with formatter.section(title):
                formatter.write_dl(list(commands.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; with --json a failure without an answer becomes a document too."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except (RemainderError, click.ClickException, OSError) as error:
            if ctx.meta.get(ASKED) and not ctx.meta.get(ANSWERED):
                show(Failure(error=problem_of(error, _sentence(error))), line=True)
            raise


def _module(name: str) -> str:
    return name.replace("-", "_")


def _from_apart(name: str) -> object:
    # Imported only here: listing installed packages costs more than most commands.
    from importlib.metadata import entry_points  # noqa: PLC0415

    for entry in entry_points(group=ENTRY_POINTS, name=name):
        return entry.load()
    raise click.UsageError(
        f"`remainder {name}` is not installed; install it with "
        f"`pip install 'remainder[{APART[name]}]'`"
    )


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="remainder %(version)s")
def group() -> None:
    """A stateless layer-4 load balancer in XDP.  The server is the remainder.

    A packet gives a key; the key picks a slot; the slot names its owner.
    """


def main() -> None:
    """The entry point: a user's mistake becomes one sentence on stderr.

    Exit codes: 0 success, 1 a problem of the host or in the answer, 2 a mistake
    in the file or on the command line, 130 Ctrl-C.
    """
    try:
        sys.exit(group.main(standalone_mode=False) or 0)
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message(), file=sys.stderr)
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output is gone
        sys.exit(0)
    except (RemainderError, click.ClickException, OSError) as error:
        sentence = f"remainder: {with_id(_sentence(error), getattr(error, 'id', None))}"
        lines = sentence.split("\n") if getattr(error, "several_lines", False) else [sentence]
        print(printable_lines(lines), file=sys.stderr)
        sys.exit(_exit_code(error))


def _sentence(error: Exception) -> str:
    match error:
        case click.UsageError():
            hint = f" (try `{error.ctx.command_path} --help`)" if error.ctx else ""
            return f"{_plain(error)}{hint}"
        case click.ClickException():
            return _plain(error)
        case OSError():
            return f"{error.filename or 'output'}: {error.strerror or error}"
    return str(error)


def _plain(error: click.ClickException) -> str:
    """What click says, in the form of our own sentences."""
    sentence = error.format_message().rstrip(".")
    return sentence[:1].lower() + sentence[1:]


def _exit_code(error: Exception) -> int:
    if isinstance(error, click.ClickException):
        return error.exit_code
    return 2 if isinstance(error, ConfigError) else 1
