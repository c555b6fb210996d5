"""``remainder lab``: a test network of namespaces, with a shell in it."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from remainder.cli.options import end_cleanly, sudo
from remainder.errors import HostError

if TYPE_CHECKING:
    from remainder_lab import Balanced, Host, Running


@click.command(name="lab")
@click.argument("scene", required=False)
@click.option("--exec", "line", metavar="COMMAND", help="run COMMAND instead of a shell")
def command(scene: str | None, line: str | None) -> None:
    """Set up SCENE with servers and a running balancer, and open a shell on the client host.

    Exit the shell to clean up.  Without SCENE, list the scenes.  Needs root.
    No packet leaves this machine.
    """
    from remainder_lab import SCENES, remove_leftovers  # noqa: PLC0415  (netlink: slow import)
    from remainder_lab import scene as scene_named  # noqa: PLC0415
    from remainder_lab.running import MARK  # noqa: PLC0415

    if scene is None:
        click.echo("\n".join(SCENES))
        return
    factory = scene_named(scene)
    if os.geteuid() != 0:
        raise HostError(
            f"the lab creates network namespaces and loads BPF, which requires root; "
            f"try `{sudo()}`",
            id="needs-root",
        )
    end_cleanly()
    remove_leftovers()
    with tempfile.TemporaryDirectory() as folder, factory() as built:
        path = Path(folder) / "remainder.toml"
        path.write_text(built.config_text(), encoding="utf-8")
        built.start_servers()
        built.start_balancer(path, "--mode", "native")  # the peers are prepared
        for process in built.balancers:
            process.copy_to(_log(path, process))
        environment = os.environ | {
            MARK: built.clients.namespace,  # so that processes left by the shell end too
            "PATH": f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ.get('PATH', '')}",
            "PS1": "clients# ",
            "REMAINDER_FILE": str(path),
        }
        remainder = "remainder"
        if shutil.which(remainder, path=environment["PATH"]) is None:
            remainder = f"{sys.executable} -m remainder"
        if line is None:
            click.echo(_banner(scene, built, path, remainder), err=True)
        shell = (
            ["/bin/sh", "-c", line] if line is not None else [os.environ.get("SHELL") or "/bin/sh"]
        )
        if shutil.which(shell[0]) is None:
            shell = ["/bin/sh"]
        done = subprocess.run(
            built.clients.inside(shell),
            env=environment,
            check=False,
        )
    sys.exit(done.returncode)


def _banner(scene: str, built: Balanced, path: Path, remainder: str) -> str:
    client = built.client_addresses[4][0]
    first = built.balancers[0]
    arguments = shlex.join(first.argv[first.argv.index("run") :])
    return (
        f"Scene {scene} is up; this shell is on the client host.  Exit it to clean up.\n"
        f"  request       curl http://{built.web()}/   (--interface ADDRESS: another client)\n"
        f"  file          {path}   (edit it; the balancer follows)\n"
        f"  status        {remainder} status --node {built.node} --watch\n"
        f"  explain       {remainder} where {path} {client}:4000 {built.web()}\n"
        f"  logs          tail {path.parent}/*.log\n"
        f"  after kill -9 nsenter --net=/run/netns/{built.node} {remainder} {arguments} "
        f">>{_log(path, first)} 2>&1 &\n"
        f"  other hosts   nsenter --net=/run/netns/NAME; NAME is one of\n"
        f"                {', '.join(host.namespace for host in _hosts(built))}"
    )


def _log(path: Path, process: Running) -> Path:
    """The log file of a balancer."""
    return path.with_name(f"{process.title.removeprefix('balancer ')}.log")


def _hosts(built: Balanced) -> list[Host]:
    hosts = [built.clients, built.router, *built.nodes.values(), *built.servers.values()]
    return list(dict.fromkeys(hosts))
