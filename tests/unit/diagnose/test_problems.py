"""What is wrong with a segment is said in the words of the role that asks."""

from __future__ import annotations

from typing import get_args

from remainder.diagnose.problems import WORDS
from remainder.plan import Role
from remainder.roles import ROLES


def test_every_role_has_a_word_for_whom_it_chooses_between() -> None:
    assert set(get_args(Role)) == WORDS.keys()
    assert {role: kind.owner for role, kind in ROLES.items()} == WORDS
