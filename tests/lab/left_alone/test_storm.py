"""Accidents at random, under traffic: all stands again, and nothing is left behind."""

from __future__ import annotations

import json
import os
import random
import statistics
import time
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from remainder_lab import hold_sessions
from remainder_lab.heartbeat import Heartbeat
from remainder_lab.host import python_module
from remainder_lab.patience import patient
from tests.lab.left_alone.alone import (
    ACCIDENTS,
    AGAIN_S,
    Alone,
    killed,
)

pytestmark = [pytest.mark.root, pytest.mark.bpf]


SOAK_S: Final = float(os.environ.get("REMAINDER_SOAK_S", "20"))
"""``REMAINDER_SOAK_S=900`` is a quarter of an hour."""


class Held(NamedTuple):
    """What a process holds."""

    rss_mib: float
    descriptors: int
    threads: int
    pins: tuple[str, ...]


def _held(alone: Alone) -> Held:
    process = Path(f"/proc/{alone.process.pid}")
    fields = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    return Held(
        rss_mib=int(fields["VmRSS"].split()[0]) / 1024,
        descriptors=len(list((process / "fd").iterdir())),
        threads=int(fields["Threads"]),
        pins=tuple(sorted(path.name for path in alone.folder.rglob("*"))),
    )


@pytest.mark.timeout(int(SOAK_S) + 120)
def test_a_storm_of_accidents_leaves_everything_standing_and_nothing_behind(
    alone: Alone, capsys: pytest.CaptureFixture[str]
) -> None:
    """Sessions and datagrams go on; what is lost is the outage itself."""
    scene, dice = alone.scene, random.Random(27)
    heart = Heartbeat(scene.clients, {version: scene.echo(version) for version in (4, 6)})
    sessions = hold_sessions(
        scene.clients,
        scene.web(),
        sources=scene.client_addresses[4],
        sessions=120,
        interval_s=0.5,
        timeout_s=60,
    )
    took: dict[str, list[float]] = {accident.__name__: [] for accident in ACCIDENTS}
    lies: list[str] = []
    with sessions, heart:
        for accident in ACCIDENTS:  # each once before it counts what the process holds
            accident(alone)
            took[accident.__name__].append(alone.again())
        killed(alone)
        time.sleep(1)  # what belongs to a start is over
        before = _held(alone)
        until_s = time.monotonic() + SOAK_S
        while time.monotonic() < until_s:
            accident = dice.choice([one for one in ACCIDENTS if one is not killed])
            accident(alone)
            took[accident.__name__].append(alone.again())
            if took[accident.__name__][-1] > patient(AGAIN_S):
                lies.append(f"{accident.__name__}: {alone.standing()} {alone.process.lines[-9:]}")
                break
            time.sleep(0.6)  # accidents without a pause between them would be a fight
            told = scene.balancer.run(
                python_module("remainder", "status", "--node", scene.node, "--json")
            ).stdout
            (looked,) = json.loads(told).get("nodes", [{}])
            if (looked.get("attached"), looked.get("trouble")) != (True, None):
                lies.append(f"after {accident.__name__}: {told[:600]} {alone.process.lines[-3:]}")
        after = _held(alone)
        killed(alone)
        begun_s = time.monotonic()
        time.sleep(0.5)
        at_the_end = heart.interruptions_s(begun_s, time.monotonic())
        held = sessions.stop()
    lines = [line for process in scene.balancers for line in process.lines]
    with capsys.disabled():
        for name, times in took.items():
            typical_s = statistics.median(times)
            took_s = f"{typical_s:.2f} s, at most {max(times):.2f} s"
            print(f"\n{len(times):4} × {name:20} stands again after {took_s}", end="")
        print(f"\nbefore {before}, after {after}")

    assert [] == lies
    assert [] == [name for name, times in took.items() if max(times) > patient(AGAIN_S)]
    assert [] == [line for line in lines if "Traceback" in line]
    assert {4: 0.0, 6: 0.0} == at_the_end
    assert [] == [session for session in held if not session.ok]
    # A folder of pins is named by a number that counts up.
    assert [name for name in before.pins if not name.isdecimal()] == [
        name for name in after.pins if not name.isdecimal()
    ]
    assert len(before.pins) == len(after.pins)
    assert after.descriptors <= before.descriptors
    assert after.threads <= before.threads + 1  # one may wait for the readers of a table
    assert after.rss_mib < before.rss_mib + 6
