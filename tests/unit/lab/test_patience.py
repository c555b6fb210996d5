"""Deadlines stretch on slow machines, and nowhere else."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from remainder.errors import ConfigError
from remainder_lab.patience import USUAL_S, VARIABLE, factor, patience, patient


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    patience.cache_clear()
    yield
    patience.cache_clear()


def test_the_variable_says_the_factor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "2.5")

    assert 2.5 == patience()
    assert 25 == patient(10)


@pytest.mark.parametrize("said", ["", "fast", "0.5", "nan", "1e9"])
def test_a_variable_without_a_factor_is_refused_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    monkeypatch.setenv(VARIABLE, said)

    with pytest.raises(ConfigError, match="is not a number from 1 to 1000"):
        patience()


def test_a_slow_machine_is_measured_and_a_busy_one_counts_as_usual() -> None:
    assert 15 == pytest.approx(factor(15 * USUAL_S))
    assert 1 == factor(1.9 * USUAL_S)
    assert 1 == factor(0.1 * USUAL_S)


def test_measuring_takes_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    begun_s = time.perf_counter()
    times = patience()
    took_s = time.perf_counter() - begun_s

    assert took_s < 0.05 * times * 4
