"""The real program and the reference model are written to disagree if either is wrong."""

from __future__ import annotations

import os
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from remainder.kernel.abi import Feature
from remainder.outcome import Outcome
from remainder.reference import process
from tests.bpf.kernel import kernel
from tests.strategies import Case, cases

pytestmark = [pytest.mark.bpf, pytest.mark.slow, pytest.mark.timeout(600)]

FRAMES_WANTED = 20_000
CASES = int(os.environ.get("REMAINDER_CASES", "700"))

# A program may know more than a plan needs: the file changed since it was
# loaded.  Families are not among it, see BalancerRole.use.
SPARE = Feature.SUM | Feature.HASH | Feature.ANY_PORT | Feature.ANY_PROTOCOL


def test_kernel_and_reference_agree(capsys: pytest.CaptureFixture[str]) -> None:
    """Any frame, any plan: same outcome, same server, same bytes; specialised or not."""
    seen: Counter[Outcome] = Counter()

    @settings(
        max_examples=CASES,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(case=cases(), more=st.sampled_from([Feature(0), SPARE]))
    def agree(case: Case, more: Feature) -> None:
        with kernel(case.plan, case.node, more=more) as running:
            for frame in case.frames:
                expected = process(case.plan, case.node, frame)
                note(f"frame {frame.hex()}")
                actual = running.process(frame)
                seen[expected.outcome] += 1

                assert expected.outcome == actual.outcome
                assert expected.frame == actual.frame
                if expected.outcome.name.startswith("FORWARDED"):
                    assert (expected.service, expected.server) == (actual.service, actual.server)

    agree()
    with capsys.disabled():
        told = ", ".join(f"{count:,} {outcome}" for outcome, count in seen.most_common())
        print(f"\n{sum(seen.values()):,} frames agreed: {told}")

    assert sum(seen.values()) >= FRAMES_WANTED
    assert set(Outcome) - {Outcome.NO_OWNER} == set(seen)
