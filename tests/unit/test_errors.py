"""The tree of errors: one root to catch, and sentences that begin with the place."""

from __future__ import annotations

import inspect
import re

import pytest

from remainder import errors
from remainder.errors import ConfigError, RemainderError

RAISED = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if kind.__module__ == errors.__name__
]


@pytest.mark.parametrize("kind", RAISED)
def test_whoever_catches_the_root_catches_everything(kind: type[Exception]) -> None:
    assert issubclass(kind, RemainderError)


def test_the_tree_in_the_docstring_is_the_tree_in_the_code() -> None:
    drawn = {}
    above: list[str] = []
    for indent, name in re.findall(
        r"^    ([│├└─ ]*)(\w+Error|\w+)\b.*$", errors.__doc__ or "", re.MULTILINE
    ):
        depth = len(indent) // 4
        above[depth:] = [name]
        drawn[name] = above[depth - 1] if depth else "Exception"

    assert {kind.__name__: kind.__bases__[0].__name__ for kind in RAISED} == drawn


@pytest.mark.parametrize(
    ("where", "sentence"),
    [("service[0].port", "service[0].port: 0 came"), ("", "0 came")],
)
def test_a_config_error_begins_with_its_place_if_it_has_one(where: str, sentence: str) -> None:
    error = ConfigError(where, "0 came")

    assert sentence == str(error)
    assert (where, "0 came") == (error.where, error.problem)
