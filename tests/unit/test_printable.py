"""Text of others reaches a terminal as text, on one line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remainder.printable import (
    MOST_OF_A_NAME,
    all_printable,
    printable,
    printable_lines,
    printable_name,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("lb1", "lb1"),
        ("zürich → 東京", "zürich → 東京"),
        ("lb1\x1b[2K\rlb2  agrees", r"lb1\x1b[2K\rlb2  agrees"),
        ("one\ntwo", r"one\ntwo"),
        ("one\u2028two\x85three", r"one\u2028two\x85three"),
        ("\u202eabc", r"\u202eabc"),
        ("\udc9b", r"\udc9b"),
        ("\x9b31m", r"\x9b31m"),
        (7, "7"),
    ],
)
def test_what_does_not_print_as_itself_is_written_out(text: object, shown: str) -> None:
    assert shown == printable(text)


@given(st.text())
def test_whatever_it_is_it_prints_and_stays_on_its_line(text: str) -> None:
    shown = printable(text)

    assert shown.isprintable()
    assert 1 >= len(shown.splitlines())
    assert text == shown or not text.isprintable()


def test_a_name_that_is_too_long_is_cut() -> None:
    assert "x" * MOST_OF_A_NAME + "…" == printable_name("x" * 5_000)
    assert "x" * MOST_OF_A_NAME == printable_name("x" * MOST_OF_A_NAME)


def test_a_line_break_in_a_name_makes_no_line_of_its_own() -> None:
    assert ["a", r"b\nc"] == printable_lines(["a", "b\nc"]).split("\n")


def test_plain_data_is_made_printable_through_and_through() -> None:
    given_, shown = {"\x1b": [{"a": "\r"}, 1, None]}, {r"\x1b": [{"a": r"\r"}, 1, None]}

    assert shown == all_printable(given_)
