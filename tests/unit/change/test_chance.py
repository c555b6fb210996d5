"""What breaks with and without the second chance, and why it cannot be had."""

from __future__ import annotations

from fractions import Fraction

import pytest
from msgspec.structs import replace

from remainder.change.chance import Breaks, same_calculation
from remainder.change.outlook import outlook
from remainder.choice import choice_of
from remainder.config import Config
from remainder.plan import plan_choice
from tests.fleets import cluster, fleet, return_path
from tests.unit.change.pairs import earlier, file, server, web

FOUR = tuple(map(server, range(11, 15)))
FIVE = (*FOUR, server(15))


def told(before: Config, after: Config, name: str = "web") -> Breaks:
    return next(broken for one, broken in outlook(before, after).differences if one.name == name)


def test_with_the_earlier_calculation_in_the_new_file_nothing_breaks() -> None:
    found = told(file(*FOUR), file(*FIVE, before=[earlier(*FOUR)]))

    assert found.listed
    assert (Fraction(4, 5), Fraction(0)) == (found.without, found.with_chance)
    assert 0 == found.expected


def test_without_it_all_that_moves_breaks() -> None:
    found = told(file(*FOUR), file(*FIVE))

    assert not found.listed
    assert (Fraction(4, 5), Fraction(0)) == (found.without, found.with_chance)
    assert Fraction(4, 5) == found.expected


def test_a_server_without_an_interface_breaks_what_it_gets() -> None:
    deaf = (*FOUR, server(15, node=False))
    found = told(file(*FOUR), file(*deaf, before=[earlier(*FOUR)]))

    assert ["s15"] == list(found.unable)
    assert Fraction(1, 5) == found.with_chance == found.expected
    assert found.why.startswith("servers without an interface")


@pytest.mark.parametrize(
    ("before", "after", "why", "name"),
    [
        (file(*FOUR, protocol="udp"), file(*FIVE, protocol="udp"), "no session of udp", "web"),
        (file(*FOUR), replace(file(*FIVE), service=[web(*FOUR, port=81)]), "nothing for", "web"),
        (fleet(), fleet(cluster=[cluster(table="maglev")]), "do not ask", "routers/ipv4"),
        (fleet(), fleet(return_path=[return_path(table="maglev")]), "a return path", "back/web"),
    ],
)
def test_there_is_no_second_chance_for(before: Config, after: Config, why: str, name: str) -> None:
    found = told(before, after, name) if why != "nothing for" else gone(before, after)

    assert found.with_chance is None
    assert why in found.why
    assert found.without == found.expected > 0


def gone(before: Config, after: Config) -> Breaks:
    return next(broken for one, broken in outlook(before, after).differences if one.after is None)


def test_calculations_are_the_same_by_what_they_answer() -> None:
    one = plan_choice(choice_of(web(*FOUR)))
    same = [web(*FOUR, key="dst_ip + dst_port + src_ip"), web(*FOUR, server(16, weight=0))]
    other = [web(*FIVE), web(*reversed(FOUR)), web(*FOUR, key="src_ip"), web(*FOUR, table="maglev")]

    assert all(same_calculation(one, plan_choice(choice_of(service))) for service in same)
    assert not any(same_calculation(one, plan_choice(choice_of(service))) for service in other)
