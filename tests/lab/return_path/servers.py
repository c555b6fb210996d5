"""What tests of the way back do on servers and routers."""

from __future__ import annotations

import time
from collections.abc import Callable

from remainder.observe.report import report
from remainder_lab.patience import patient
from remainder_lab.return_path import ReturnPath


def outcomes(scene: ReturnPath, name: str) -> dict[str, int]:
    counted = report(scene.nodes[name].namespace, "sender")["outcomes"]
    return {outcome: count["packets"] for outcome, count in counted.items()}


def wait_for(what: Callable[[], bool], seconds: float = 5.0) -> bool:
    deadline_s = time.monotonic() + patient(seconds)
    while not what():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.05)
    return True
