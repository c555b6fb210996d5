"""``remainder demo``: the main job on real traffic, before the viewer's eyes."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import click

from remainder.cli.options import end_cleanly
from remainder.errors import Disagreement, HostError


@click.command(name="demo")
@click.argument("scene", default="one-service")
@click.option(
    "--html", type=click.Path(path_type=Path), default=Path("demo.html"), show_default=True,
    help="where the page with the pictures goes",
)  # fmt: skip
def command(scene: str, html: Path) -> None:
    """Build a network of namespaces, balance real sessions, kill the process, clean up.

    Takes under a minute; needs root.  Nothing leaves this machine.
    """
    if os.geteuid() != 0:
        raise HostError("the demo makes network namespaces and loads BPF; run it as root")
    from remainder.cli.demo_page import page  # noqa: PLC0415  (only as root)
    from remainder.cli.demo_view import Stage  # noqa: PLC0415
    from remainder.lab import acts, remove_leftovers  # noqa: PLC0415
    from remainder.lab import scene as scene_named  # noqa: PLC0415

    factory = scene_named(scene)
    end_cleanly()
    stage = Stage()
    begun_s = time.monotonic()
    remove_leftovers()
    stage.say("Building a network of namespaces: clients, a router, a balancer, four servers …")
    with factory() as built, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "remainder.toml"
        stage.topology(built)
        built.start_servers()
        first = acts.FORMULAS[0]
        path.write_text(built.config_text(key=first.key, table=first.table), encoding="utf-8")
        process = built.start_balancer(path)
        stage.say(f"$ remainder run remainder.toml --interface eth0\n{process.wait_for('ready')}")
        shown = []
        with built.witnesses() as witnesses:
            for formula in acts.FORMULAS:
                with stage.act(formula, tuple(built.servers)) as look:
                    result = acts.show_formula(built, path, formula, witnesses=witnesses, look=look)
                stage.result(result)
                shown.append(result)
            for witness in witnesses.values():
                witness.forget()
            with stage.kill(process.pid, tuple(built.servers)) as look:
                killed = acts.show_kill(built, path, process, witnesses=witnesses, look=look)
            stage.killed(killed)
        html.write_text(page(shown, killed), encoding="utf-8")
    took_s = time.monotonic() - begun_s
    stage.say(f"Cleaned up.  {took_s:.0f} s in all; the pictures are in {html}")
    if not (all(result.ok for result in shown) and killed.ok):
        raise Disagreement("something above is not as it should be; please report it")
