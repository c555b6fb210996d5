"""The Maglev table: the paper's to the letter, full, fair, and calm when servers change.

``plain_table`` is the pseudocode of the paper (section 3.4, POPULATE) with
weights, written for reading; it shares nothing but the names' permutations.
"""

from __future__ import annotations

import random
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from remainder.selection import maglev
from remainder.selection.maglev import DEFAULT_SLOTS, is_prime, permutation, turns

Owners = dict[str, int]
"""name → weight"""

PRIMES = [number for number in range(2, 400) if is_prime(number)]

MOVED_MOST = 0.015
"""Of the slots that need not move, this share may: measured is 0.6 % at most, 0.8 % with 300."""


def plain_table(owners: Owners, slots: int) -> list[str]:
    """Each turn goes to the owner whose k-th turn at time k / weight is next; it takes its best."""
    names = sorted(name for name, weight in owners.items() if weight)
    liked = {}
    for name in names:
        offset, skip = permutation(name, slots)
        liked[name] = [(offset + j * skip) % slots for j in range(slots)]
    taken: dict[int, str] = {}
    turn = dict.fromkeys(names, 1)
    while len(taken) < slots:
        name = min(names, key=lambda name: (Fraction(turn[name], owners[name]), name))
        turn[name] += 1
        taken[next(slot for slot in liked[name] if slot not in taken)] = name
    return [taken[slot] for slot in range(slots)]


def table(owners: Owners, slots: int | None = None) -> list[str]:
    """The names that ``maglev.table`` puts on the slots."""
    names = list(owners)
    return [names[owner] for owner in maglev.table(list(owners.values()), names, slots).tolist()]


def servers(count: int) -> Owners:
    return {f"server-{number}": 1 for number in range(count)}


owner_names = st.text("abcdefghij0123456789.-", min_size=1, max_size=8)
weighted_owners = st.dictionaries(owner_names, st.integers(0, 255), min_size=1, max_size=12).filter(
    lambda owners: any(owners.values())
)
primes = st.sampled_from(PRIMES)


@given(weighted_owners, primes)
@example({"a": 255, "b": 1, "c": 1}, 2)
@example({"a": 255} | {f"b{number}": 1 for number in range(40)}, 397)
@example(dict.fromkeys("abcdefg", 1), 7)
def test_the_table_is_the_one_of_the_paper(owners: Owners, slots: int) -> None:
    assert plain_table(owners, slots) == table(owners, slots)


@pytest.mark.slow
@pytest.mark.parametrize("weights", [[1] * 5, [10, 1, 1, 3], [255] + [1] * 99])
def test_a_large_table_is_the_one_of_the_paper(weights: list[int]) -> None:
    owners = {f"server-{number}": weight for number, weight in enumerate(weights)}

    assert plain_table(owners, 4_093) == table(owners, 4_093)


@given(weighted_owners, primes)
def test_every_slot_has_an_owner_and_nobody_of_weight_0_has_one(owners: Owners, slots: int) -> None:
    names = table(owners, slots)

    assert slots == len(names)
    assert all(owners[name] > 0 for name in names)


@given(weighted_owners, primes, st.randoms(use_true_random=False))
def test_the_order_in_the_file_does_not_matter(
    owners: Owners, slots: int, chance: random.Random
) -> None:
    shuffled = list(owners.items())
    chance.shuffle(shuffled)

    assert table(owners, slots) == table(dict(shuffled), slots)


@given(weighted_owners, primes)
def test_slots_match_weights_within_a_turn_of_each_owner(owners: Owners, slots: int) -> None:
    """The last round may end anywhere: N × w / W slots, give or take at most a round's worth."""
    count = Counter(table(owners, slots))
    total = sum(owners.values())

    for name, weight in owners.items():
        excess = count[name] - Fraction(slots * weight, total)

        assert -2 < excess <= Fraction(len(owners) * weight, total)


@pytest.mark.parametrize("count", [1, 2, 10, 300])
def test_equal_weights_give_every_server_the_same_number_of_slots_but_one(count: int) -> None:
    slots = Counter(table(servers(count)))

    assert count == len(slots)
    assert {DEFAULT_SLOTS // count, -(-DEFAULT_SLOTS // count)} >= set(slots.values())


@pytest.mark.parametrize("count", [3, 5, 10, 50, 300])
def test_removing_a_server_leaves_the_others_where_they_are(count: int) -> None:
    before = table(servers(count))
    gone = f"server-{count // 2}"
    after = table({name: 1 for name in servers(count) if name != gone})

    kept = [slot for slot, name in enumerate(before) if name != gone]
    moved = sum(before[slot] != after[slot] for slot in kept)

    assert moved < MOVED_MOST * len(kept)


@pytest.mark.parametrize("count", [2, 5, 10, 50, 300])
def test_adding_a_server_moves_little_more_than_its_share(count: int) -> None:
    before, after = table(servers(count)), table(servers(count + 1))
    moved = sum(one != other for one, other in zip(before, after, strict=True))

    assert moved < (1 / (count + 1) + MOVED_MOST) * len(before)


@given(st.text(max_size=63), primes)
def test_a_permutation_meets_every_slot(name: str, slots: int) -> None:
    offset, skip = permutation(name, slots)

    assert set(range(slots)) == {(offset + j * skip) % slots for j in range(slots)}


@given(st.lists(st.integers(0, 255), min_size=1, max_size=30).filter(any), primes)
def test_turns_come_in_the_order_of_their_times(weights: list[int], slots: int) -> None:
    times = sorted(
        (Fraction(turn, weight), owner)
        for owner, weight in enumerate(weights)
        if weight
        for turn in range(1, slots + 1)
    )

    assert [owner for _, owner in times[:slots]] == turns(weights, slots).tolist()


def test_without_a_number_of_slots_there_are_65537() -> None:
    assert 65_537 == len(table({"a": 1}))
    assert is_prime(DEFAULT_SLOTS)


def test_primes_are_told_from_other_numbers() -> None:
    sieve = [number for number in range(2, 2000) if all(number % d for d in range(2, number))]

    assert sieve == [number for number in range(2000) if is_prime(number)]


def test_owners_are_16_bit_numbers() -> None:
    assert maglev.table([1, 1], ["a", "b"], 7).dtype == "uint16"
