"""What a process saw lately is read by others, as long as it is fresh."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

import pytest

from remainder.observe import seen, state
from remainder.observe.seen import Sample, Seen


@pytest.fixture(autouse=True)
def rooms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "RUN", tmp_path)


SAMPLE = Sample.of(1000.0, {("web", "s1"): 50, ("web", "s2"): 7, ("tls", "s1"): 1})


def test_what_is_written_is_read_again() -> None:
    noted = Seen(silent_since_s={"192.0.2.11": 12.5}, sample=SAMPLE)
    seen.write("lb1", "balancer", noted)

    assert noted == seen.read("lb1", "balancer")
    assert Seen() == seen.read("lb1", "sender")


def test_notes_of_what_was_seen_are_no_state_of_a_role() -> None:
    seen.write("lb1", "balancer", Seen())

    assert [] == state.running()


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"sample": 3}', b'{"silent_since_s": {"s1": 3.0}}']
)
def test_broken_notes_say_nothing(content: bytes) -> None:
    seen.path_of("lb1", "balancer").write_bytes(content)

    assert Seen() == seen.read("lb1", "balancer")


@pytest.mark.parametrize(
    ("now_s", "is_fresh"), [(1000.0, False), (1001.0, True), (1060.0, True), (1121.0, False)]
)
def test_a_sample_stands_for_the_last_minute_only_while_somebody_counts(
    now_s: float, *, is_fresh: bool
) -> None:
    assert (SAMPLE if is_fresh else None) == seen.fresh(SAMPLE, now_s)


@pytest.mark.parametrize(
    ("server", "packets", "grown"), [("s1", 80, 30), ("s1", 50, 0), ("s1", 20, 20), ("s3", 9, None)]
)
def test_growth_is_since_the_sample_or_since_the_counter_began_anew(
    server: str, packets: int, grown: int | None
) -> None:
    assert grown == seen.grown(SAMPLE, "web", server, packets)
    assert None is seen.grown(None, "web", server, packets)


def test_a_time_of_the_clock_becomes_one_of_day() -> None:
    told = datetime.fromisoformat(seen.time_of_day(time.monotonic() - 90))

    assert 88 < (datetime.now().astimezone() - told).total_seconds() < 95
