"""Ids of messages: declared once, and shown behind the sentence."""

from __future__ import annotations

import pytest

from remainder.errors import HostError
from remainder.messages import MESSAGES, Warn
from tests.warnings import Warned


def test_an_error_carries_its_id_beside_its_sentence() -> None:
    error = HostError("eth0 already runs another XDP program", id="xdp-in-use")

    assert "eth0 already runs another XDP program" == str(error)
    assert error.id in MESSAGES


@pytest.mark.parametrize("name", MESSAGES)
def test_what_an_id_stands_for_is_said_in_one_line(name: str) -> None:
    assert MESSAGES[name]
    assert "\n" not in MESSAGES[name]


def test_a_warning_may_have_an_id() -> None:
    warned = Warned()
    warn: Warn = warned
    warn("no interface given", id="interface-not-given")
    warn("plain")

    assert ["no interface given", "plain"] == warned
    assert ["interface-not-given", None] == warned.ids
