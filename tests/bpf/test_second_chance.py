"""The server's program and the model agree, with the sockets of a real kernel between them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from remainder.kernel.abi import Feature
from remainder.outcome import Outcome
from remainder.reference import process
from remainder_lab.host import Host
from tests.bpf.kernel import kernel
from tests.bpf.sessions import Sessions, machine
from tests.chances import ChanceCase, Told, chance_cases, frame_of, unknown, with_sockets
from tests.strategies import frames

pytestmark = [pytest.mark.root, pytest.mark.bpf, pytest.mark.slow, pytest.mark.timeout(600)]

CASES = int(os.environ.get("REMAINDER_CASES", "700")) // 3
FRAMES = 4_000

OF_SESSIONS = {
    Outcome.KEPT, Outcome.KEPT_NEW, Outcome.KEPT_KNOWN, Outcome.KEPT_EARLIER,
    Outcome.KEPT_UNKNOWN, Outcome.KEPT_BLIND, Outcome.PASSED_ON,
    Outcome.UNRESOLVED,
}  # fmt: skip
OF_FRAMES = {
    Outcome.NOT_IP, Outcome.OTHER_MAC, Outcome.NOT_VIP, Outcome.NO_SERVICE, Outcome.MALFORMED,
    Outcome.TOO_MANY_HEADERS, Outcome.OTHER_VLAN, Outcome.KEPT,
}  # fmt: skip
"""What no packet of a session meets, and fragments."""

# While an example shrinks, the sessions of a kernel would grow old.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)


@pytest.fixture(scope="module")
def server() -> Iterator[Host]:
    with machine() as host:
        yield host


def test_kernel_and_reference_agree_on_sessions(
    server: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    """Any calculations, any state of a session, any packet of it: same outcome, same bytes."""
    seen: Counter[Outcome] = Counter()
    sessions = Sessions()

    @settings(
        max_examples=CASES,
        phases=PHASES,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(chance_cases())
    def agree(case: ChanceCase) -> None:
        sessions.renew()
        node = with_sockets(case.node, sessions.sockets)
        with kernel(case.plan, node) as running:
            for told in case.tolds:
                frame = _frame(told, sessions)
                note(f"{told} of {case.plan.node}")
                expected = process(case.plan, node, frame)
                actual = running.process(frame)
                seen[expected.outcome] += 1

                assert expected.outcome == actual.outcome
                assert expected.frame == actual.frame
                if expected.outcome is Outcome.PASSED_ON:
                    assert (expected.choice, expected.owner) == (actual.choice, actual.owner)

    try:
        server.call(agree)
    finally:
        sessions.close()
    with capsys.disabled():
        told = ", ".join(f"{number:,} {outcome}" for outcome, number in seen.most_common())
        print(f"\nserver: {sum(seen.values()):,} frames agreed: {told}")

    assert sum(seen.values()) >= FRAMES
    assert OF_SESSIONS <= set(seen) <= OF_SESSIONS | OF_FRAMES


def test_kernel_and_reference_agree_on_any_frame(
    server: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the other roles are tried with: damaged, fragmented, of any protocol; no sockets."""
    seen: Counter[Outcome] = Counter()

    @settings(
        max_examples=CASES,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(chance_cases(), st.data(), st.sampled_from([Feature(0), Feature.BUFFERS]))
    def agree(case: ChanceCase, data: st.DataObject, more: Feature) -> None:
        another = frames(case.plan, case.node)
        with kernel(case.plan, case.node, more=more) as running:
            for frame in data.draw(st.lists(another, min_size=20, max_size=60)):
                note(f"frame {frame.hex()}")
                expected = process(case.plan, case.node, frame)
                actual = running.process(frame)
                seen[expected.outcome] += 1

                assert expected.outcome == actual.outcome
                assert expected.frame == actual.frame

    server.call(agree)
    with capsys.disabled():
        told = ", ".join(f"{number:,} {outcome}" for outcome, number in seen.most_common())
        print(f"\nserver: {sum(seen.values()):,} frames agreed: {told}")

    assert sum(seen.values()) >= FRAMES
    assert OF_FRAMES <= set(seen) <= OF_SESSIONS | OF_FRAMES


def _frame(told: Told, sessions: Sessions) -> bytes:
    known = {"live": sessions.live, "closed": sessions.closed}.get(told.which)
    flow = known[told.version][told.number] if known else unknown(told)
    return frame_of(told, flow, sessions.awaited.get(flow, 0))
