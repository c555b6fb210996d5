"""How much longer than usual things may take here: the lab's deadlines are stretched by it.

A virtual machine without the hardware's help is ten to twenty times slower, and what
is in time there would be late elsewhere.  REMAINDER_PATIENCE says the factor;
without it a fixed piece of work is timed, once per process.
Rule: deadlines alone.  How long something took is measured, and never divided by it.
"""

from __future__ import annotations

import functools
import os
import time
from typing import Final

from remainder.errors import ConfigError

VARIABLE: Final = "REMAINDER_PATIENCE"
USUAL_S: Final = 0.006
"""What the work takes on a processor of 2020 and later, or less."""

NOISE: Final = 2.0
"""Up to here a machine is only busy, and deadlines have room for that."""

_ROUNDS: Final = 3


@functools.cache
def patience() -> float:
    """The factor, 1 on usual machines.  Raises ConfigError if the variable has none."""
    said = os.environ.get(VARIABLE)
    if said is None:
        return factor(min(_work_s() for _ in range(_ROUNDS)))
    try:
        number = float(said)
    except ValueError:
        number = 0.0
    if not 1 <= number <= 1000:
        raise ConfigError(
            VARIABLE, f"{said!r} is not a number from 1 to 1000, by which deadlines are multiplied"
        )
    return number


def factor(work_s: float) -> float:
    """What a duration of the work says: how many times the usual one, but noise."""
    times = work_s / USUAL_S
    return times if times > NOISE else 1.0


def patient(seconds: float) -> float:
    """A deadline, stretched."""
    return seconds * patience()


def _work_s() -> float:
    begun_s = time.perf_counter()
    sum(number * number % 7 for number in range(60_000))
    return time.perf_counter() - begun_s
