"""``remainder run``: balance until stopped."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

import click

from remainder.cli.counting import counted
from remainder.cli.options import file_argument, node_option, sudo
from remainder.diagnose.dsr import found_servers, silent_servers
from remainder.errors import HostError
from remainder.flow import Address
from remainder.kernel import netlink
from remainder.kernel.netlink import Interface
from remainder.kernel.refusal import missing_capabilities
from remainder.observe import state
from remainder.plan import Plan
from remainder.roles import ROLES
from remainder.roles.loop import serve
from remainder.roles.node import RunningNode
from remainder.roles.running import Wanted


@click.command(name="run")
@file_argument
@click.option("--interface", metavar="IF", help="where the packets come in; default: from the file")
@node_option
@click.option(
    "--mode",
    type=click.Choice(["auto", "native", "generic"]),
    help="XDP mode; auto (the default) is native where the driver can, else generic",
)
@click.option(
    "--keep", is_flag=True, help="leave the data plane running at the end; `detach` stops it"
)
def command(file: Path, interface: str | None, node: str, mode: str | None, *, keep: bool) -> None:
    """Do this node's part of FILE until Ctrl-C or SIGTERM: balance, be a member, choose routers.

    Follows changes of FILE and of the servers' MAC addresses.  A bad new file
    is refused while the old one goes on.  If this process dies, packets go on
    being forwarded; the next run takes over what it finds.
    """
    if os.geteuid() != 0 and missing_capabilities():
        raise HostError(
            "loading a data plane takes root, or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON; "
            f"try `{sudo()}`"
        )
    wanted = Wanted(file=file, node=node, interface=interface, mode=mode, say=_say, warn=_warn)
    started_s = time.monotonic()
    with state.sole_writer(node):
        running = RunningNode.start(wanted)
        for line in _unassigned_vips(running):
            _say(line)
        diagnosis = _Diagnosis(running)

        def ready() -> None:
            _ready(running, started_s)
            diagnosis.look()

        serve(running, ready=ready, published=diagnosis.look)
        if keep:
            _say(f"the data plane goes on without us; `remainder detach --node {node}` stops it")
        else:
            running.stop()
            _say("detached")


def _ready(running: RunningNode, started_s: float) -> None:
    took_ms = (time.monotonic() - started_s) * 1000
    for role in running.roles:
        owners = sum(len(planned.owners) for planned in role.plan.choices)
        kind = ROLES[role.role]
        _say(
            f"{role.role} on {role.interface.name} ({role.mode} {kind.side}), "
            f"{counted(len(role.plan.choices), kind.choice)}, {counted(owners, kind.owner)}, "
            f"tables {role.plan.fingerprint[:12]}"
        )
    _say(f"ready after {took_ms:.0f} ms")


def _say(line: str) -> None:
    with suppress(OSError):  # a closed terminal or pipe must not end a balancer
        print(line, flush=True)


def _warn(line: str) -> None:
    with suppress(OSError):
        print(f"warning: {line}", file=sys.stderr, flush=True)


class _Diagnosis:
    """Beside the work: names the servers that would swallow their packets, each once."""

    def __init__(self, running: RunningNode) -> None:
        self._running = running
        self._asked: frozenset[tuple[Address, Address]] = frozenset()

    def look(self) -> None:
        """Ask the servers that were not asked before."""
        for role in self._running.roles:
            if role.role == "balancer":
                macs = dict(role.macs)
                found = found_servers(role.plan, macs)
                if found - self._asked:
                    what = (role.plan, role.interface, macs, self._asked)
                    threading.Thread(target=_diagnose, args=what, daemon=True).start()
                self._asked = found


def _diagnose(
    plan: Plan,
    interface: Interface,
    macs: Mapping[Address, bytes],
    asked: Collection[tuple[Address, Address]],
) -> None:
    for silent in silent_servers(plan, interface, macs, without=asked):
        _warn(str(silent))


def _unassigned_vips(running: RunningNode) -> list[str]:
    """The commonest surprise of a first run: nobody answers ARP for the VIP."""
    here = netlink.local_addresses()
    return [
        f"note: {vip} is no address of this machine: packets come only if a router sends them "
        f"here; assign_vips = true in this node's [[balancer]] answers ARP and neighbour "
        f"discovery for it"
        for role in running.roles
        if role.role == "balancer" and not running.stands_by
        for vip in sorted(role.plan.vips, key=str)
        if vip not in here
    ]
