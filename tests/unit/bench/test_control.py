"""The control plane's figures; the tables and the start are in tests/bpf and tests/lab."""

from __future__ import annotations

import json
import os

from remainder.plan import make_plan
from remainder.sources.file import loads
from remainder_bench.control import (
    FILE,
    Control,
    Figure,
    as_plain,
    as_text,
    large_config,
    large_file,
    resident_mib,
)
from remainder_bench.machine import this_machine

FIGURES = (Figure("fill", 9.25, "ms"), Figure("memory", 51.0, "MiB"))


def test_every_figure_has_its_unit() -> None:
    text = as_text(Control(this_machine("control plane"), FIGURES))

    assert "9.2 ms" in text
    assert "51.0 MiB" in text


def test_the_figures_are_json() -> None:
    plain = json.loads(json.dumps(as_plain(Control(this_machine("control plane"), FIGURES))))

    assert {"name": "fill", "value": 9.25, "unit": "ms"} == plain["figures"][0]


def test_the_large_file_is_as_large_as_asked() -> None:
    plan = make_plan(large_config(services=3, servers=5, key="src_ip", table="modulo"))

    assert [5, 5, 5] == [len(planned.owners) for planned in plan.choices]


def test_a_large_file_has_what_it_says() -> None:
    plan = make_plan(loads(large_file(services=3, servers=5)))

    assert ["w0", "w1", "w2"] == [planned.name for planned in plan.choices]
    assert 15 == len({owner.address for planned in plan.choices for owner in planned.owners})


def test_the_file_of_the_cold_commands_is_valid() -> None:
    assert ["web"] == [planned.name for planned in make_plan(loads(FILE)).choices]


def test_this_process_is_somewhere_in_memory() -> None:
    assert resident_mib(os.getpid()) > 1
