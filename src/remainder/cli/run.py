"""``remainder run``: run a node's roles until stopped."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

import click

from remainder.cli.counting import counted
from remainder.cli.options import file_argument, node_option, sudo, with_id
from remainder.diagnose.surveying import LinuxSurveyor
from remainder.diagnose.watch import Means, Watch
from remainder.errors import HostError
from remainder.kernel import netlink, pins
from remainder.kernel.refusal import missing_capabilities
from remainder.observe import state
from remainder.observe.notify import Notify
from remainder.observe.report import packets
from remainder.printable import printable
from remainder.roles import ROLES
from remainder.roles.loop import before_start, serve
from remainder.roles.node import RunningNode
from remainder.roles.running import Wanted


@click.command(name="run")
@file_argument
@click.option("--interface", metavar="IF", help="interface to attach to  [default: from the file]")
@node_option
@click.option(
    "--mode",
    type=click.Choice(["auto", "native", "generic"]),
    help="XDP mode; auto: native if the driver supports it, otherwise generic  "
    "[default: from the file, else auto]",
)
@click.option(
    "--keep", is_flag=True, help="leave the data plane running on exit; `detach` stops it"
)
def command(file: Path, interface: str | None, node: str, mode: str | None, *, keep: bool) -> None:
    """Run this node's roles from FILE until Ctrl-C or SIGTERM.

    A node can be a balancer, a member of a cluster and a return-path sender.
    Changes of FILE and of the servers' MAC addresses are picked up at once; a
    file with a mistake is rejected and the previous one stays in use.  If this
    process dies, packets are still forwarded; the next run takes over.
    """
    if os.geteuid() != 0 and missing_capabilities():
        raise HostError(
            "loading a data plane requires root, or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON; "
            f"try `{sudo()}`",
            id="needs-root",
        )
    notify = Notify.from_environment()
    wanted = Wanted(file=file, node=node, interface=interface, mode=mode, say=_say, warn=_warn)
    started_s = time.monotonic()
    before_start()
    with state.sole_writer(node):
        if pins.ensure_bpffs():
            _warn(
                f"mounted the BPF file system at {pins.BPFFS}, where there was none; under `ip "
                f"netns exec`, which hides it, the data plane would end with this process: use "
                f"`nsenter --net=/run/netns/NAME`",
                id="bpffs-hidden",
            )
        running = RunningNode.start(wanted)
        diagnosis = _Diagnosis(running)
        exposure = _Exposure(running)

        def ready() -> None:
            _ready(running, started_s)
            diagnosis.look()

        def published() -> None:
            diagnosis.look()
            exposure.look()

        with suppress(KeyboardInterrupt):  # SIGTERM before there is a loop: also a stop
            for line in _unassigned_vips(running):
                _say(line, id="vip-not-here")
            exposure.look()
            serve(running, ready=ready, published=published, watch=diagnosis.look, notify=notify)
        if keep:
            _say(f"data plane left running; stop it with `remainder detach --node {node}`")
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
    if not running.roles:
        _say("nothing to do until a service of this server lists an earlier calculation")
    _say(f"ready after {took_ms:.0f} ms")


def _say(line: str, *, id: str | None = None) -> None:
    with suppress(OSError):  # a closed terminal or pipe must not stop a balancer
        print(printable(with_id(line, id)), flush=True)


def _warn(line: str, *, id: str | None = None) -> None:
    with suppress(OSError):
        print(f"warning: {printable(with_id(line, id))}", file=sys.stderr, flush=True)


class _Diagnosis:
    """Looks at what runs every few seconds, and says what is wrong (diagnose/watch.py)."""

    def __init__(self, running: RunningNode) -> None:
        self._running = running
        means = Means(host=running.host, surveyor=LinuxSurveyor(), count=packets)
        self._watch = Watch(running.wanted.node, means, say=_say, warn=_warn)

    def look(self) -> None:
        """Quick; what takes longer goes on in the background."""
        self._watch.look(self._running.roles)


class _Exposure:
    """Warns of a secret that everybody on this host can read, once for each way."""

    def __init__(self, running: RunningNode) -> None:
        self._source = running.source
        self._told: str | None = None

    def look(self) -> None:
        """After each file that was taken."""
        if self._source.exposed is not None and self._source.exposed != self._told:
            _warn(self._source.exposed, id="secret-exposed")
        self._told = self._source.exposed


def _unassigned_vips(running: RunningNode) -> list[str]:
    """The most common surprise of a first run: nobody answers ARP for the VIP."""
    here = netlink.local_addresses()
    return [
        f"note: {vip} is not configured on this host, so packets arrive only if a router routes "
        f"it here; to answer ARP and neighbour discovery for it, set assign_vips = true in this "
        f"node's [[balancer]]"
        for role in running.roles
        if role.role == "balancer" and not running.stands_by
        for vip in sorted(role.plan.vips, key=str)
        if vip not in here
    ]
