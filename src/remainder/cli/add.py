"""``remainder add``: one more server, member or router."""

from __future__ import annotations

from pathlib import Path

import click

from remainder.change.edits import Section, add, section_named, with_sections
from remainder.cli.editing import Asked, asking, edit, section_option
from remainder.cli.options import file_argument
from remainder.config import Cluster, Config, Member, ReturnPath, Router, Server
from remainder.errors import ConfigError


@click.command(name="add")
@file_argument
@click.argument("name")
@click.argument("address", required=False)
@click.option("--weight", type=click.IntRange(0, 255), default=1, show_default=True,
              help="share of slots")  # fmt: skip
@click.option("--interface", metavar="IF", help="interface on which its packets arrive")
@click.option("--slot", type=click.IntRange(min=0), help="first of its own slots, in a modulo "
              "table with slots  [default: the first free one]")  # fmt: skip
@section_option
@asking
def command(
    file: Path,
    name: str,
    address: str | None,
    weight: int,
    *,
    interface: str | None,
    slot: int | None,
    section: str | None,
    asked: Asked,
) -> None:
    """Add a server (or member, or router) to FILE.

    A server and a router need an ADDRESS, a member an --interface.  The plan is
    shown first.  If the other servers name one interface, the new one gets it too.
    """

    def change(config: Config) -> Config:
        one = section_named(config, section)
        made = owner(one)
        return with_sections(config, [one], lambda it: add(it, made))

    def owner(one: Section) -> Server | Member | Router:
        if isinstance(one, Cluster):
            if address is not None or interface is None:
                raise ConfigError("", "a member has an --interface, and no address")
            return Member(name=name, interface=interface, weight=weight, slot=slot)
        if address is None:
            raise ConfigError("", f"no address for {name!r}; expected `add FILE NAME ADDRESS`")
        if isinstance(one, ReturnPath):
            if interface is not None:
                raise ConfigError("", "a router has an address, and no interface")
            return Router(name=name, address=address, weight=weight, slot=slot)
        others = {(it.interface, it.mode) for it in one.servers}
        common, mode = others.pop() if len(others) == 1 else (None, "auto")
        return Server(
            name=name,
            address=address,
            weight=weight,
            slot=slot,
            interface=interface or common,
            mode=mode if interface in (None, common) else "auto",
        )

    edit(file, change, asked)
