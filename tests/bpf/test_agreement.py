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
from tests.roles import member_cases, sender_cases
from tests.strategies import Case, cases

pytestmark = [pytest.mark.bpf, pytest.mark.slow, pytest.mark.timeout(600)]

FULL = 700
CASES = int(os.environ.get("REMAINDER_CASES", FULL))
"""Fewer find less; they are for processors that are translated (tests/machines)."""

OF_SERVERS = {
    Outcome.KEPT_NEW, Outcome.KEPT_KNOWN, Outcome.KEPT_EARLIER, Outcome.KEPT_UNKNOWN,
    Outcome.KEPT_BLIND, Outcome.PASSED_ON,
}  # fmt: skip
"""Of who asks earlier calculations: test_second_chance.py."""

# A program may know more than a plan needs: the file changed since it was
# loaded.  Families are not among it, see BalancerRole.use.
SPARE = Feature.SUM | Feature.HASH | Feature.ANY_PORT | Feature.ANY_PROTOCOL


ROLES = {
    "balancer": (
        cases(),
        CASES,
        20_000,
        {
            Outcome.NO_OWNER,
            Outcome.KEPT,
            Outcome.LEFT,
            Outcome.NEIGHBOUR_ANSWERED,
            Outcome.RETURNED,
            Outcome.ON_LINK,
        },
    ),
    "member": (
        member_cases(),
        CASES // 3,
        6_000,
        {
            Outcome.NO_OWNER,
            Outcome.TTL_EXPIRED,
            Outcome.FORWARDED,
            Outcome.FORWARDED_ERROR,
            Outcome.ECHO_ANSWERED,
            Outcome.ECHO_TOO_LARGE,
            Outcome.OTHER_OWN_MAC,
            Outcome.UNRESOLVED,
            Outcome.RETURNED,
            Outcome.ON_LINK,
        },
    ),
    "sender": (
        sender_cases(),
        CASES // 3,
        6_000,
        {
            Outcome.NO_OWNER,
            Outcome.TTL_EXPIRED,
            Outcome.FORWARDED,
            Outcome.FORWARDED_ERROR,
            Outcome.ECHO_ANSWERED,
            Outcome.ECHO_TOO_LARGE,
            Outcome.OTHER_OWN_MAC,
            Outcome.OTHER_MAC,
            Outcome.KEPT,
            Outcome.LEFT,
            Outcome.NEIGHBOUR_ANSWERED,
        },
    ),
}
"""role → cases, how many, frames that must have been compared, outcomes it cannot have"""


@pytest.mark.parametrize("role", ROLES)
def test_kernel_and_reference_agree(role: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Any frame, any plan: same outcome, same owner, same bytes; specialised or not."""
    some, count, wanted, impossible = ROLES[role]
    seen: Counter[Outcome] = Counter()

    @settings(
        max_examples=count,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(case=some, more=st.sampled_from([Feature(0), SPARE, Feature.BUFFERS]))
    def agree(case: Case, more: Feature) -> None:
        if role == "sender":  # which is no XDP program
            more &= ~Feature.BUFFERS
        with kernel(case.plan, case.node, more=more) as running:
            for frame in case.frames:
                expected = process(case.plan, case.node, frame)
                note(f"frame {frame.hex()}")
                actual = running.process(frame)
                seen[expected.outcome] += 1

                assert expected.outcome == actual.outcome
                assert expected.frame == actual.frame
                if expected.outcome in OWNED:
                    assert (expected.choice, expected.owner) == (actual.choice, actual.owner)

    agree()
    with capsys.disabled():
        told = ", ".join(f"{number:,} {outcome}" for outcome, number in seen.most_common())
        print(f"\n{role}: {sum(seen.values()):,} frames agreed: {told}")

    if CASES >= FULL:
        assert sum(seen.values()) >= wanted
        assert set(Outcome) - impossible - OF_SERVERS == set(seen)
    else:  # the first cases are the shortest, and have not everything
        assert sum(seen.values()) >= wanted * CASES / FULL / 3
        assert set(Outcome) - impossible - OF_SERVERS >= set(seen)


OWNED = {
    Outcome.FORWARDED,
    Outcome.FORWARDED_ERROR,
    Outcome.KEPT,
    Outcome.LEFT,
    Outcome.RETURNED,
}
"""Outcomes that a server's, member's or router's counter tells of too."""
