"""What each scene of ``demo`` shows: a live failure, and what it broke.

A show builds its scene, runs it, and returns findings: (passed, sentence).
The numbers come from acts*.py.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from remainder_lab import SCENES, acts
from remainder_lab.acts import Killed, Shown
from remainder_lab.acts_cluster import show_leaving, show_selection
from remainder_lab.acts_ecmp import show_sharing
from remainder_lab.acts_return import show_sessions, show_way_back
from remainder_lab.acts_standby import DEATHS, show_takeover
from remainder_lab.cli.demo_view import Stage

Finding = tuple[bool, str]


@dataclass
class Programme:
    """Everything that was shown, for the page."""

    formulas: list[Shown] = field(default_factory=list)
    killed: Killed | None = None
    findings: dict[str, list[Finding]] = field(default_factory=dict)  # scene → findings

    @property
    def ok(self) -> bool:
        """Everything passed."""
        shown = all(item.ok for item in self.formulas) and (self.killed is None or self.killed.ok)
        return shown and all(good for findings in self.findings.values() for good, _ in findings)


@contextmanager
def _scene(name: str) -> Iterator[tuple[Any, Path]]:
    """The scene with its servers, and its file; no balancer runs yet."""
    with SCENES[name]() as built, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "remainder.toml"
        path.write_text(built.config_text(), encoding="utf-8")
        built.start_servers()
        yield built, path


def one_service(stage: Stage, programme: Programme) -> list[Finding]:
    """One balancer: three formulas, then kill -9 of the control process."""
    with _scene("one-service") as (built, path):
        stage.topology(built)
        first = acts.FORMULAS[0]
        path.write_text(built.config_text(key=first.key, table=first.table), encoding="utf-8")
        process = built.start_balancer(path, "--mode", "native")
        stage.say("$ remainder run remainder.toml --interface eth0 --mode native")
        stage.say(process.wait_for("ready"))
        stage.remark(acts.CLAIMS)
        with built.witnesses() as witnesses:
            for formula in acts.FORMULAS:
                with stage.act(formula, tuple(built.servers)) as look:
                    result = acts.show_formula(built, path, formula, witnesses=witnesses, look=look)
                stage.result(result)
                programme.formulas.append(result)
            for witness in witnesses.values():
                witness.forget()
            with stage.kill(process.pid, tuple(built.servers)) as look:
                killed = acts.show_kill(built, path, process, witnesses=witnesses, look=look)
            stage.killed(killed)
        programme.killed = killed
    return []


def standby_pair(stage: Stage, programme: Programme) -> list[Finding]:
    """The active balancer goes silent with 200 sessions open, and comes back."""
    del programme
    with _scene("standby-pair") as (built, path):
        stage.say("lb1 and lb2 run the same file; keepalived decides which one holds the VIPs")
        built.start_balancer(path, "--mode", "native")
        shown = show_takeover(built, path, DEATHS["silent"], look=stage.happens)
    away_ms = max(shown.dead.interruptions_s.values(), default=0) * 1000
    return [
        (
            shown.ok,
            f"{len(shown.broken)} of {shown.held} sessions broken, {shown.requests:,} requests",
        ),
        (True, f"the VIPs were unreachable for {away_ms:.0f} ms; nothing was synchronised"),
    ]


def ecmp(stage: Stage, programme: Programme) -> list[Finding]:
    """Packets alternate between two active balancers."""
    del programme
    with _scene("ecmp") as (built, path):
        stage.say("the router sprays packet by packet over lb1 and lb2")
        built.start_balancer(path, "--mode", "native")
        shown = show_sharing(built, path, spray=True)
    carried = ", ".join(f"{name} {count:,}" for name, count in shown.carried.items())
    return [
        (shown.ok, f"{len(shown.broken)} of {len(shown.sessions)} sessions broken"),
        (
            not shown.torn,
            f"{len(shown.torn)} had packets at more than one server; packets: {carried}",
        ),
    ]


def cluster(stage: Stage, programme: Programme) -> list[Finding]:
    """Three members receive every packet, one keeps it; then one member leaves."""
    del programme
    with _scene("cluster") as (built, path):
        stage.say("m1, m2 and m3 all receive every packet, and each does the calculation")
        built.start_balancer(path, "--mode", "native")
        selected = show_selection(built, path)
        stage.happens("m3 stops, and the others switch to a file without it")
        left = show_leaving(built, path, built.config_text(servers=["m1", "m2"]), leaver="m3")
    kept = ", ".join(f"{name} {count:,}" for name, count in selected.kept.items())
    return [
        (
            selected.ok,
            (
                f"{len(selected.sessions)} sessions: {len(selected.broken)} broken, "
                f"{len(selected.torn)} at more than one member; packets kept: {kept}"
            ),
        ),
        (
            left.broken == left.moved,
            (
                f"m3 left: {len(left.broken)} of {len(left.sessions)} open sessions broken, "
                f"the {len(left.moved)} whose slots moved"
            ),
        ),
    ]


def return_path(stage: Stage, programme: Programme) -> list[Finding]:
    """Stateful firewalls on two routers; servers answer through the one the request came in by."""
    del programme
    with _scene("return-path") as (built, path):
        built.start_balancer(path, "--mode", "native")
        built.raise_firewalls()
        stage.say("r1 and r2 are stateful firewalls; servers answer through the right one")
        shown = show_way_back(built, path)
    chosen, not_chosen = shown.chosen, shown.not_chosen
    return [
        (
            not (chosen.broken or chosen.strayed),
            (
                f"with senders: {len(chosen.broken)} of {len(chosen.trips)} sessions broken, "
                f"{len(chosen.strayed)} seen at two routers"
            ),
        ),
        (
            bool(not_chosen.broken),
            f"without: {len(not_chosen.broken)} of {len(not_chosen.trips)} broken, as expected",
        ),
        (shown.ok, f"with senders again: {len(shown.again.broken)} broken"),
    ]


def whole_fleet(stage: Stage, programme: Programme) -> list[Finding]:
    """Routers, balancers and servers with one file; every tier does the calculation."""
    del programme
    with _scene("whole-fleet") as (built, path):
        stage.say("one file on every node: routers keep, balancers forward, servers choose routers")
        built.start_balancer(path, "--mode", "native")
        shown = show_sessions(built, path)
    return [
        (not shown.broken, f"{len(shown.broken)} of {len(shown.trips)} sessions broken"),
        (
            not shown.miscalculated,
            f"{len(shown.miscalculated)} took another path than `where` names for every tier",
        ),
    ]


SHOWS: Final[Mapping[str, Callable[[Stage, Programme], list[Finding]]]] = {
    "one-service": one_service,
    "standby-pair": standby_pair,
    "ecmp": ecmp,
    "cluster": cluster,
    "return-path": return_path,
    "whole-fleet": whole_fleet,
}
"""In the order in which they are shown."""
