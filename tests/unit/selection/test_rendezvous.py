"""The rendezvous table: fair by weight, and no slot moves that need not.

``plain_table`` is the rule slot by slot with Python's integers, written for
reading; it shares nothing with the package.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from hashlib import blake2b
from math import log2
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remainder.selection import maglev, rendezvous

Owners = dict[str, int]
"""name → weight"""

PAGE: Final = Path(__file__).resolve().parents[3] / "docs" / "selection.md"
WORD: Final = 2**32


def plain_log2(number: int, digits: int) -> int:
    """Log2 of number / 2^31, which is from 1 to below 2, in units of 2^-digits, digit by digit."""
    log = 0
    for _ in range(digits):
        number = number * number >> 31
        digit = number >> 32
        number >>= digit
        log = 2 * log + digit
    return log


LOGS: Final = [plain_log2((4096 + i) << 19, 32) for i in range(4096)] + [WORD]


def plain_score(slot: int, name: str) -> int:
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        slot = (slot ^ slot >> shift) * factor % WORD
    slot ^= slot >> 16
    seed = blake2b(name.encode(), digest_size=8, person=b"remainder-rendez").digest()
    first, second = int.from_bytes(seed[:4], "little"), int.from_bytes(seed[4:], "little") | 1
    score = (slot ^ first) * second % WORD
    score = (score ^ score >> 15) * 0x846CA68B % WORD
    return score ^ score >> 16


def plain_distance(score: int) -> int:
    """The negative logarithm of a score, as the page has it."""
    odd = 2 * score + 1
    exponent = odd.bit_length() - 1
    row, rest = divmod((odd << (32 - exponent)) - WORD, 2**20)
    log = LOGS[row] + ((LOGS[row + 1] - LOGS[row]) * rest >> 20)
    return (33 - exponent) * WORD - log


def plain_table(owners: Owners, slots: int) -> list[str]:
    def merit(slot: int, name: str) -> tuple[Fraction, int, int, str]:
        score, weight = plain_score(slot, name), owners[name]
        return Fraction(plain_distance(score), weight), -weight, -score, name

    names = [name for name, weight in owners.items() if weight]
    return [min(names, key=lambda name: merit(slot, name)) for slot in range(slots)]


def table(owners: Owners, slots: int | None = None) -> list[str]:
    """The names that ``rendezvous.table`` puts on the slots."""
    names = list(owners)
    return [names[owner] for owner in rendezvous.table(list(owners.values()), names, slots)]


def servers(count: int) -> Owners:
    return {f"s{number}": 1 for number in range(1, count + 1)}


owner_names = st.text("abcdefghij0123456789.-", min_size=1, max_size=8)
weighted_owners = st.dictionaries(owner_names, st.integers(0, 255), min_size=1, max_size=12).filter(
    lambda owners: any(owners.values())
)
sizes = st.integers(1, 400)


@given(weighted_owners, sizes)
def test_the_table_is_the_one_of_the_rule(owners: Owners, slots: int) -> None:
    assert plain_table(owners, slots) == table(owners, slots)


def test_a_large_table_is_the_one_of_the_rule_beyond_one_block() -> None:
    owners = {"a": 1, "b": 2, "c": 255, "d": 2}

    assert plain_table(owners, 40_009) == table(owners, 40_009)


@given(st.integers(0, WORD - 1))
def test_a_distance_is_the_negative_logarithm(score: int) -> None:
    (distance,) = rendezvous._distance(np.array([score], dtype=np.uint32)).tolist()

    assert plain_distance(score) == distance
    assert distance > 0
    assert abs(distance / WORD + log2((score + 0.5) / WORD)) < 2e-8


@given(st.integers(0, WORD - 2))
def test_a_better_score_is_never_farther(score: int) -> None:
    one, other = rendezvous._distance(np.array([score, score + 1], dtype=np.uint32)).tolist()

    assert one >= other


@given(weighted_owners, sizes, st.randoms(use_true_random=False))
def test_the_order_in_the_file_does_not_matter(
    owners: Owners, slots: int, chance: random.Random
) -> None:
    shuffled = list(owners.items())
    chance.shuffle(shuffled)

    assert table(owners, slots) == table(dict(shuffled), slots)


@given(weighted_owners, st.integers(1, 400), st.integers(1, 400))
def test_more_slots_leave_the_first_ones_where_they_are(owners: Owners, one: int, two: int) -> None:
    few, many = sorted((one, two))

    assert table(owners, few) == table(owners, many)[:few]


# -- what moves ------------------------------------------------------------------------


def random_owners(chance: random.Random, count: int) -> Owners:
    weights = chance.choice([[1], [1, 2, 4], [1, 10, 100], list(range(256))])
    owners = {f"server-{chance.getrandbits(40)}": chance.choice(weights) for _ in range(count)}
    return owners | {"one": 1}


def leave(owners: Owners, name: str, _: random.Random) -> Owners:
    return {one: weight for one, weight in owners.items() if one != name}


def fall_silent(owners: Owners, name: str, _: random.Random) -> Owners:
    return owners | {name: 0}


def get_less(owners: Owners, name: str, chance: random.Random) -> Owners:
    return owners | {name: chance.randrange(owners[name] + 1)}


def get_more(owners: Owners, name: str, chance: random.Random) -> Owners:
    return owners | {name: chance.randrange(owners[name], 256)}


@pytest.mark.parametrize("change", [leave, fall_silent, get_less, get_more])
@settings(max_examples=40, deadline=None)
@given(
    chance=st.randoms(use_true_random=False),
    count=st.integers(2, 60) | st.sampled_from([300, 2_000]),
)
def test_a_slot_moves_only_from_or_to_the_owner_that_changed(
    change: Callable[[Owners, str, random.Random], Owners], chance: random.Random, count: int
) -> None:
    before = random_owners(chance, count)
    name = chance.choice(
        [one for one, weight in before.items() if weight and one != "one"] or ["one"]
    )
    after = change(before, name, chance)
    if not any(after.values()):
        return
    one, other = table(before, 1021), table(after, 1021)
    loses = change is not get_more

    for old, new in zip(one, other, strict=True):
        assert old == new or name == (old if loses else new)


@settings(max_examples=20, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from([2, 3, 10, 50]))
def test_shares_are_the_weights_give_or_take_chance(chance: random.Random, count: int) -> None:
    """Six standard deviations of a binomial distribution."""
    owners = random_owners(chance, count)
    slots, total = 65_537, sum(owners.values())
    owned = Counter(table(owners, slots))

    for name, weight in owners.items():
        share = weight / total
        assert abs(owned[name] - slots * share) <= 6 * (slots * share * (1 - share)) ** 0.5 + 1


# -- beside the Maglev paper -------------------------------------------------------------


def excess(owned: Counter[str], slots: int, owners: int) -> float:
    """How much more than its share the owner with most slots has, in percent."""
    return 100 * (max(owned.values()) * owners / slots - 1)


def extra(before: list[str], after: list[str], gone: str) -> float:
    """The share of the others' slots that moves when one leaves, in percent."""
    kept = [(old, new) for old, new in zip(before, after, strict=True) if old != gone]
    return 100 * sum(old != new for old, new in kept) / len(kept)


def rows() -> list[tuple[int, str, str, str, str]]:
    """Rows of the page like ``| 65,537 | 0.7 % | 43.4 % | 1.0 % | 0 % |``."""
    percent = r"\s*([\d.]+) %\s*"
    pattern = rf"^\|\s*([\d,]+)\s*\|{percent}\|{percent}\|{percent}\|{percent}\|$"
    found = re.findall(pattern, PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return [(int(slots.replace(",", "")), *figures) for slots, *figures in found]


@pytest.mark.slow
@pytest.mark.parametrize("row", rows(), ids=str)
def test_a_thousand_servers_are_as_uneven_as_the_page_says(
    row: tuple[int, str, str, str, str],
) -> None:
    slots, *figures = row
    names = list(servers(1000))
    staying = [name for name in names if name != "s2"]
    measured = []
    for algorithm in (maglev, rendezvous):
        full = np.array(names)[algorithm.table([1] * 1000, names, slots)].tolist()
        less = np.array(staying)[algorithm.table([1] * 999, staying, slots)].tolist()
        measured.append((excess(Counter(full), slots, 1000), extra(full, less, "s2")))
    (maglev_most, maglev_moved), (rendezvous_most, rendezvous_moved) = measured

    assert figures == [f"{maglev_most:.1f}", f"{rendezvous_most:.1f}", f"{maglev_moved:.1f}", "0"]
    assert 0 == rendezvous_moved


def test_the_page_has_both_sizes_of_the_paper() -> None:
    assert [65_537, 655_373] == [row[0] for row in rows()]


# -- shape -------------------------------------------------------------------------------


def test_without_a_number_of_slots_there_are_65537() -> None:
    assert 65_537 == len(table({"a": 1}))


def test_owners_are_16_bit_numbers() -> None:
    assert rendezvous.table([1, 1], ["a", "b"], 7).dtype == "uint16"
