"""Every outcome has a name, a verdict, and a sentence for the operator."""

from __future__ import annotations

import re
from pathlib import Path

from remainder.outcome import Outcome

PAGE = Path(__file__).parents[2] / "docs" / "packets.md"
VERDICTS = {
    "tx": r"(sends|answers)",
    "pass": r"passes it to the network stack",
    "drop": r"drops it",
}
BY_NAME = {outcome.value: outcome for outcome in Outcome}


def test_the_page_has_every_outcome_in_the_same_order() -> None:
    """docs/packets.md is the contract; its table is the enum."""
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|(.*)\|$", PAGE.read_text(), re.MULTILINE)

    assert [outcome.value for outcome in Outcome] == [name for name, _, _ in rows]
    for name, does, _ in rows:
        assert re.search(VERDICTS[BY_NAME[name].verdict], does), name


def test_every_outcome_says_whether_it_is_normal() -> None:
    """One sentence each."""
    for outcome in Outcome:
        assert re.fullmatch(r"(Normal|Rare|Investigate|Never normal)\b.*\.", outcome.normal), (
            outcome
        )
