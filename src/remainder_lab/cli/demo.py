"""``remainder demo``: Remainder at work on real traffic, live."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click

from remainder.cli.options import end_cleanly, sudo
from remainder.errors import Disagreement, HostError


@click.command(name="demo")
@click.argument("scene", required=False)
@click.option(
    "--html", type=click.Path(path_type=Path), default=Path("demo.html"), show_default=True,
    help="file for the page with the charts",
)  # fmt: skip
def command(scene: str | None, html: Path) -> None:
    """Build test networks in namespaces, break things under real sessions, clean up.

    Without SCENE, show all of them, in about a minute.  Needs root.
    No packet leaves this machine.
    """
    if os.geteuid() != 0:
        raise HostError(
            f"the demo creates network namespaces and loads BPF, which requires root; "
            f"try `{sudo()}`",
            id="needs-root",
        )
    from remainder_lab import remove_leftovers  # noqa: PLC0415
    from remainder_lab import scene as scene_named  # noqa: PLC0415
    from remainder_lab.cli.demo_page import page  # noqa: PLC0415  (only as root)
    from remainder_lab.cli.demo_shows import SHOWS, Programme  # noqa: PLC0415
    from remainder_lab.cli.demo_view import Stage  # noqa: PLC0415

    if scene is not None:
        scene_named(scene)  # raises ConfigError for an unknown one
    end_cleanly()
    stage, programme = Stage(), Programme()
    begun_s = time.monotonic()
    remove_leftovers()
    for name in [scene] if scene else SHOWS:
        stage.title(name, SHOWS[name].__doc__ or "")
        findings = SHOWS[name](stage, programme)
        for good, sentence in findings:
            stage.found(good, sentence)
        if findings:
            programme.findings[name] = findings
    try:
        html.write_text(page(programme), encoding="utf-8")
    except OSError as error:
        raise HostError(
            f"cannot write {html} ({error.strerror}); choose another file with --html"
        ) from None
    took_s = time.monotonic() - begun_s
    stage.say(f"\nCleaned up.  Took {took_s:.0f} s; charts are in {html}")
    if not programme.ok:
        raise Disagreement("demo failed (see ✗ above); please report it")
