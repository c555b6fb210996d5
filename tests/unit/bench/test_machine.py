"""The machine that a result depends on."""

from __future__ import annotations

import platform

from remainder_bench.machine import cpu_name, this_machine


def test_the_model_of_the_cpu_is_what_it_says_of_itself() -> None:
    assert "Abacus 3" == cpu_name("processor\t: 0\nmodel name\t: Abacus 3\nflags\t\t: fpu\n")


def test_a_cpu_without_a_model_is_known_by_its_architecture() -> None:
    assert platform.machine() == cpu_name("processor\t: 0\nBogoMIPS\t: 50.00\n")


def test_this_machine_says_what_it_runs() -> None:
    machine = this_machine("test")

    assert platform.release() == machine.kernel
    assert "test" == machine.mode
    assert machine.cpus >= 1
