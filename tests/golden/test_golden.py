"""Golden files: a configuration in, what the kernel is given out, as text that can be read.

``pytest tests/golden --update-golden`` writes them anew; the difference is
what a reviewer reads.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest

from remainder.fleet import tiers_of
from remainder.kernel import image
from remainder.kernel.abi import ServiceFlag
from remainder.plan import Plan
from remainder.sources.file import load
from tests.docs.pages import usable

HERE = Path(__file__).parent
FILES = sorted((HERE.parents[1] / "examples").glob("*.toml")) + sorted(HERE.glob("*.toml"))
LONGEST = 64
"""slots; of a longer table the shares and a fingerprint are shown"""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_gives_the_tables_that_were_reviewed(
    path: Path, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Every byte that a packet's way depends on is in the text."""
    golden = HERE / f"{path.stem}.txt"
    text = "\n".join(
        line
        for tier in tiers_of(load(usable(path, tmp_path)))
        for line in _tier(tier.kind, tier.plan)
    )
    if request.config.getoption("update_golden"):
        golden.write_text(f"{text}\n", encoding="utf-8")

    assert golden.read_text(encoding="utf-8") == f"{text}\n"


def _tier(kind: str, plan: Plan) -> Iterator[str]:
    capacity = image.need_of(plan)
    numbers, _ = image.allocate_counters(plan, {})
    made = image.image_of(plan, capacity, counters=numbers, macs={})
    yield f"{kind}: fingerprint {plan.fingerprint}"
    yield f"  features {image.features_of(plan)!r}"
    yield f"  room {capacity}"
    for place, entry in enumerate(made.services):
        if entry["match"]:
            yield from _entry(place, entry, made)


def _entry(place: int, entry: np.void, made: image.Image) -> Iterator[str]:
    vip = f"{int(entry['vip_hi']):016x} {int(entry['vip_lo']):016x}"
    flags = ServiceFlag(int(entry["flags"]))
    yield f"  place {place}: vip {vip} match {int(entry['match']):08x} {flags!r}"
    slots, first = int(entry["slots"]), int(entry["first_slot"])
    if not slots:
        yield "    a marker"
        return
    masks = " ".join(
        f"{name}={int(entry[f'{name}_mask']):x}" for name in ("src_ip", "dst_ip", "ports")
    )
    yield f"    {masks} protocol={int(entry['protocol_mask']):x} power={entry['power'].tolist()}"
    first_owner = int(entry["first_owner"])
    table = made.slots[first : first + slots]
    for owner in np.unique(table).tolist():
        name = "/".join(made.owner_names[first_owner + owner])
        yield f"    owner {owner}: {name}, {int((table == owner).sum())} of {slots} slots"
    if slots > LONGEST:
        yield f"    table {hashlib.sha256(table.astype('<u2').tobytes()).hexdigest()}"
    else:
        runs = ((owner, sum(1 for _ in run)) for owner, run in groupby(table.tolist()))
        yield f"    table {' '.join(f'{owner}x{count}' for owner, count in runs)}"
