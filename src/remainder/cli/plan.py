"""``remainder plan``: what a new file would move and break."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import click

from remainder.change.captures import read_capture
from remainder.change.flow_lists import Seen, read_flows
from remainder.change.outlook import Outlook, outlook_from
from remainder.cli import plan_view
from remainder.cli.documents import show
from remainder.cli.options import json_option, node_option, writable
from remainder.cli.plan_documents import document
from remainder.cli.plan_page import page
from remainder.config import Config
from remainder.errors import ConfigError, RemainderError
from remainder.fleet import Tier, tiers_of
from remainder.sources.file import load


def _share(ctx: click.Context, parameter: click.Parameter, value: str | None) -> Fraction | None:
    """``5%`` or ``0.5 %``."""
    del ctx, parameter
    if value is None:
        return None
    found = re.fullmatch(r"(\d{1,3}(?:\.\d{1,6})?)\s*%?", value.strip())
    share = Fraction(found[1]) / 100 if found else Fraction(2)
    if share > 1:
        raise click.BadParameter(f"{value!r} is not a share; expected 0%–100%, like 5%")
    return share


max_moved_option = click.option(
    "--max-moved", metavar="SHARE", callback=_share, help="exit with 1 if more flows move, like 5%"
)
flows_option = click.option(
    "--flows",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="count these flows: CSV, or the output of `ss -tn` or `conntrack -L` ('-': stdin)",
)
capture_option = click.option(
    "--capture",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="count the sessions of a pcap or pcapng file",
)


@click.command(name="plan")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="[OLD] NEW")
@node_option
@flows_option
@capture_option
@max_moved_option
@click.option("--html", type=click.Path(path_type=Path), metavar="PATH", callback=writable,
              help="also write an HTML page that draws both tables")  # fmt: skip
@json_option
def command(
    files: tuple[Path, ...],
    *,
    node: str,
    flows: Path | None,
    capture: Path | None,
    max_moved: Fraction | None,
    html: Path | None,
    as_json: bool,
) -> None:
    """Show what replacing OLD by NEW would move and break.  Changes nothing.

    Without OLD, NEW is compared with what runs on this host.  Shares are
    counted over all flows; --flows and --capture count real ones.
    """
    if not 1 <= len(files) <= 2:
        raise click.UsageError(f"{len(files)} files given; expected OLD and NEW, or NEW alone")
    new = load(files[-1])
    if len(files) == 2:
        before = tiers_of(load(files[0]))
        found = outlook_from(before, new, given(before, new, flows, capture))
    else:
        before = running(node, new)
        kinds = {tier.kind for tier in before}
        found = outlook_from(before, new, given(before, new, flows, capture), kinds=kinds)
    if html is not None:
        names = (str(files[0]) if len(files) == 2 else "what runs here", str(files[-1]))
        html.write_text(page(found, *names), encoding="utf-8")
    if as_json:
        show(document(found))
    else:
        click.echo(plan_view.text(found))
    check_moved(found, max_moved)


def check_moved(found: Outlook, most: Fraction | None) -> None:
    """Raise RemainderError if more moves than allowed."""
    if most is not None and found.moved > most:
        what = "flows" if found.sessions is None else "given sessions"
        raise RemainderError(
            f"{plan_view.percent(found.moved)} of the {what} would move, more than "
            f"{plan_view.percent(most)}; make a smaller change, or raise --max-moved",
            id="moves-too-much",
        )


def given(
    before: Sequence[Tier], new: Config, flows: Path | None, capture: Path | None
) -> list[Seen]:
    """The sessions of both options.  Raises ConfigError if a file has none."""
    if flows is None and capture is None:
        return []
    vips = {vip for tier in [*before, *tiers_of(new)] for vip in tier.plan.vips}
    found: list[Seen] = []
    if flows is not None:
        found += read_flows(_text(flows), "stdin" if str(flows) == "-" else str(flows), vips)
    if capture is not None:
        found += read_capture(capture, vips)
    if not found:
        raise ConfigError(
            str(capture or flows), "no session with a VIP of either file in it; check the files"
        )
    return found


def _text(path: Path) -> str:
    if str(path) == "-":
        return sys.stdin.read()
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(
            str(path), "not text; expected CSV, or the output of ss or conntrack -L"
        ) from None
    except OSError as error:
        raise ConfigError(
            str(path), f"cannot read the file ({error.strerror}); give the path of a list of flows"
        ) from None


def running(node: str, new: Config) -> list[Tier]:
    """The calculations that run here.  Raises HostError if there are none."""
    from remainder.cli.plan_running import running_tiers  # noqa: PLC0415  (needs libbpf)

    return running_tiers(node, new)
