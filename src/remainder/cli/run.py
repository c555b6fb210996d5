"""``remainder run``: balance until stopped."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import click

from remainder.cli.options import file_argument, node_option
from remainder.errors import HostError
from remainder.kernel import netlink, state
from remainder.kernel.dsr import silent_servers
from remainder.roles.balancer import BalancerRole, Wanted
from remainder.roles.loop import serve
from remainder.sources.file import Source


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
    """Balance FILE's services on an interface until Ctrl-C or SIGTERM.

    Follows changes of FILE and of the servers' MAC addresses.  A bad new file
    is refused while the old one goes on.  If this process dies, packets go on
    being forwarded; the next run takes over what it finds.
    """
    if os.geteuid() != 0 and not _has_capabilities():
        raise HostError(
            "loading a data plane takes root, or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON; "
            f"try `sudo {' '.join([Path(sys.argv[0]).name, *sys.argv[1:]])}`"
        )
    wanted = Wanted(
        source=Source(file), node=node, interface=interface, mode=mode, say=_say, warn=_warn
    )
    started_s = time.monotonic()
    with state.sole_writer(node):
        role = BalancerRole.start(wanted)
        for line in _unassigned_vips(role):
            _say(line)
        serve(role, lambda: _ready(role, started_s))
        if keep:
            _say(f"the data plane goes on without us; `remainder detach --node {node}` stops it")
        else:
            role.stop()
            _say("detached")


def _ready(role: BalancerRole, started_s: float) -> None:
    servers = sum(len(planned.servers) for planned in role.plan.services)
    _say(
        f"ready: {role.interface.name} ({role.mode} XDP), {len(role.plan.services)} services, "
        f"{servers} servers, tables {role.plan.fingerprint[:12]}, "
        f"after {(time.monotonic() - started_s) * 1000:.0f} ms"
    )
    threading.Thread(target=_diagnose, args=(role,), name="diagnosis", daemon=True).start()


def _say(line: str) -> None:
    print(line, flush=True)


def _warn(line: str) -> None:
    print(f"warning: {line}", file=sys.stderr, flush=True)


def _has_capabilities() -> bool:
    wanted = (1 << 39) | (1 << 12)  # CAP_BPF, CAP_NET_ADMIN
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16) & wanted == wanted
    return False


def _diagnose(role: BalancerRole) -> None:
    """Beside the work: name the servers that would swallow their packets."""
    for silent in silent_servers(role.plan, role.interface, dict(role.macs)):
        _warn(str(silent))


def _unassigned_vips(role: BalancerRole) -> list[str]:
    """The commonest surprise of a first run: nobody answers ARP for the VIP."""
    here = netlink.local_addresses()
    return [
        f"note: {vip} is no address of this machine: packets come only if a router sends them "
        f"here; assign_vips = true in this node's [[balancer]] answers ARP and neighbour "
        f"discovery for it"
        for vip in sorted(role.plan.vips, key=str)
        if vip not in here
    ]
