"""The rounds: interleaved, and a number counts only with its proof.  A false watch keeps time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from remainder.flow import Flow
from remainder.kernel import libbpf
from remainder.outcome import Outcome
from remainder_bench.micro import Copy, Trial, measure
from remainder_bench.packets import CLIENT, STRANGER, ack, template_of
from remainder_bench.stopwatch import EVERY_PACKET_NEW, Lap, Template

TEMPLATE = template_of(ack(Flow(CLIENT[4], 1024, STRANGER[4], 80, 6)))
ONLY_RETURN, OURS, OTHER = 1, 2, 3
PACKETS = 100


class FalseWatch:
    """30 ns for the program that only returns, 10 more for each number above it."""

    def __init__(self, *, verdict: str = "tx", frame: bytes = TEMPLATE.frame) -> None:
        self.ran: list[int] = []
        self.verdict = verdict
        self.frame = frame

    def one(self, program_fd: int, template: Template) -> tuple[str, bytes]:
        del program_fd, template
        return self.verdict, self.frame

    def run(self, program_fd: int, template: Template, *, flows: int) -> Lap:
        del template, flows
        self.ran.append(program_fd)
        return Lap(ns=20.0 + 10 * program_fd, verdict=self.verdict, packets=PACKETS)


@pytest.fixture(autouse=True)
def no_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libbpf, "program_size", lambda descriptor: 100 * descriptor)


def trial(program: int, *, flows: int = 1, after: bytes | None = None) -> Trial:
    return Trial(
        f"program {program}", [Copy(program)], TEMPLATE, flows, "forwarded", "tx", after=after
    )


def counting(step: int, outcome: Outcome = Outcome.FORWARDED) -> Iterator[dict[Outcome, int]]:
    count = 0
    while True:
        yield dict.fromkeys(Outcome, 0) | {outcome: count}
        count += step
        yield dict.fromkeys(Outcome, 0) | {outcome: count}


def test_the_net_time_is_that_over_only_return() -> None:
    (row,) = measure(FalseWatch(), [ONLY_RETURN], [trial(OTHER)], rounds=5)

    assert (20.0,) * 5 == row.net_ns
    assert (30.0,) * 5 == row.floor_ns
    assert 300 == row.instructions
    assert row.fault is None


def test_every_round_runs_every_program_right_after_only_return() -> None:
    watch = FalseWatch()
    measure(watch, [ONLY_RETURN], [trial(OURS), trial(OTHER)], rounds=2)
    warm = [OURS, OTHER]

    assert warm + 2 * [ONLY_RETURN, OURS, ONLY_RETURN, OTHER] == watch.ran


def test_the_copies_of_a_program_take_turns() -> None:
    watch = FalseWatch()
    tried = trial(OURS)
    tried.copies = [Copy(OURS), Copy(OTHER)]
    (row,) = measure(watch, [ONLY_RETURN], [tried], rounds=4)

    assert [OURS, OTHER] == watch.ran[:2]
    assert 2 * [ONLY_RETURN, OTHER, ONLY_RETURN, OURS] == watch.ran[2:]
    assert (20.0, 10.0, 20.0, 10.0) == row.net_ns


def test_all_flows_are_met_before_the_clock_counts() -> None:
    watch = FalseWatch()
    measure(watch, [ONLY_RETURN], [trial(OURS, flows=3 * PACKETS)], rounds=1)

    assert [OURS, OURS, OURS, ONLY_RETURN, OURS] == watch.ran


def test_new_flows_need_one_warm_run() -> None:
    watch = FalseWatch()
    measure(watch, [ONLY_RETURN], [trial(OURS, flows=EVERY_PACKET_NEW)], rounds=1)

    assert [OURS, ONLY_RETURN, OURS] == watch.ran


def test_another_verdict_is_a_fault_and_told_once() -> None:
    (row,) = measure(FalseWatch(verdict="pass"), [ONLY_RETURN], [trial(OURS)], rounds=1)

    assert "the verdict is pass, expected tx" == row.fault


def test_another_frame_than_the_models_is_a_fault() -> None:
    (row,) = measure(FalseWatch(), [ONLY_RETURN], [trial(OURS, after=b"other")], rounds=1)

    assert "not the reference model's" in (row.fault or "")


@pytest.mark.parametrize(
    ("step", "outcome", "fault"),
    [
        (PACKETS, Outcome.FORWARDED, None),
        (PACKETS - 1, Outcome.FORWARDED, "counted was {'forwarded': 99}"),
        (PACKETS, Outcome.UNRESOLVED, "counted was {'unresolved': 100}"),
    ],
)
def test_every_packet_must_have_been_counted_under_its_outcome(
    step: int, outcome: Outcome, fault: str | None
) -> None:
    counted = counting(step, outcome)
    tried = trial(OURS)
    tried.copies = [Copy(OURS, lambda: next(counted))]
    (row,) = measure(FalseWatch(), [ONLY_RETURN], [tried], rounds=2)

    assert (fault is None) == (row.fault is None)
    assert (fault or "") in (row.fault or "")


def test_the_teller_hears_of_every_round() -> None:
    heard: list[int] = []
    measure(FalseWatch(), [ONLY_RETURN], [trial(OURS)], rounds=3, told=heard.append)

    assert [1, 2, 3] == heard
