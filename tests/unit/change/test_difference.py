"""What moves, from whom to whom: compared with the calculation itself, flow by flow."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from remainder.change.difference import Difference, differences
from remainder.config import Config
from remainder.fleet import tiers_of
from remainder.flow import Flow, parse_flow
from remainder.plan import make_plan
from tests.fleets import cluster, fleet, return_path
from tests.unit.change.pairs import SUM5, file, flows_of, pairs, server, web


def difference(before: Config, after: Config) -> Difference:
    (found,) = differences(tiers_of(before), tiers_of(after))
    return found


def four(**changed: Any) -> Config:
    return file(*map(server, range(11, 15)), **changed)


def five(**changed: Any) -> Config:
    return file(*map(server, range(11, 16)), **changed)


def test_one_more_server_moves_four_fifths_under_modulo() -> None:
    found = difference(four(), five())

    assert Fraction(4, 5) == found.moved
    assert Fraction(1, 5) == found.least
    assert ("exact", 20) == (found.basis, found.period)
    assert Fraction(1, 20) == found.shifts[0].share
    assert 16 == len(found.shifts)
    assert {"s15": (0, 1)} == {
        owner.name: owner.slots for owner in found.owners if not owner.slots[0]
    }


def test_an_equal_number_of_slots_is_compared_slot_by_slot() -> None:
    found = difference(four(table="maglev"), five(table="maglev"))

    assert found.slots_moved is not None
    assert Fraction(found.slots_moved, 65_537) == found.moved
    assert found.least <= found.moved < found.least + Fraction(1, 100)


def test_another_name_for_a_machine_moves_nothing_and_another_machine_moves_its_share() -> None:
    renamed = server(11)
    again = file(*(replace(renamed, name="new"), *map(server, range(12, 15))))
    moved = file(*(replace(renamed, address="192.0.2.99"), *map(server, range(12, 15))))

    assert 0 == difference(four(), again).moved
    found = difference(four(), moved)
    assert Fraction(1, 4) == found.moved
    assert ["s11 (192.0.2.11)"] == [shift.source for shift in found.shifts]
    assert ["s11 (192.0.2.99)"] == [shift.target for shift in found.shifts]


@given(pairs())
def test_the_shares_add_up(pair: tuple[Config, Config]) -> None:
    found = difference(*pair)
    for side in (0, 1):
        assert 1 == sum(owner.share[side] for owner in found.owners)
    for owner in found.owners:
        assert owner.share[1] == owner.share[0] - owner.loses + owner.gains
    assert found.moved == sum(shift.share for shift in found.shifts)
    assert found.least <= found.moved <= 1


@given(pairs(), st.data())
def test_a_flow_moves_only_along_a_shift(pair: tuple[Config, Config], data: st.DataObject) -> None:
    """And under a sum the classes say of each flow whether it stays."""
    found = difference(*pair)
    one, other = map(make_plan, pair)
    shifts = {(shift.source, shift.target) for shift in found.shifts}
    for flow in data.draw(flows_of(pair[0])):
        was, now = one.where(flow), other.where(flow)
        assert was.owner == now.owner or (was.owner, now.owner) in shifts
        if found.classes is not None:
            values = {
                "src_ip": int(flow.src_ip), "src_port": flow.src_port, "dst_port": flow.dst_port,
                "protocol": flow.protocol,
            }  # fmt: skip
            total = sum(values[name] for name in found.classes.expression.split(" + "))
            rest = total % found.classes.modulus
            stays = any(first <= rest <= last for first, last in found.classes.stay)

            assert stays == (was.owner == now.owner)


def test_shares_are_those_of_consecutive_clients() -> None:
    """One period of client addresses meets every class once."""
    before, after = four(key=SUM5), five(key=SUM5, table="maglev", slots=31)
    found = difference(before, after)
    one, other = make_plan(before), make_plan(after)
    counted = Counter(
        (one.where(flow).owner, other.where(flow).owner)
        for flow in map(flow_from, range(found.period))
    )

    assert 4 * 31 == found.period
    assert {
        (shift.source, shift.target): int(shift.share * found.period) for shift in found.shifts
    } == {pair: keys for pair, keys in counted.items() if pair[0] != pair[1]}


def flow_from(number: int) -> Flow:
    return parse_flow(f"198.51.{number // 256}.{number % 256}:4000", "203.0.113.10:80")


def test_what_comes_and_what_goes_is_named() -> None:
    before = Config(service=[web(server(11)), web(server(11), name="old", port=81)])
    after = Config(service=[web(server(11)), web(server(12), name="new", port=82)])
    found = differences(tiers_of(before), tiers_of(after))

    assert [("web", Fraction(0)), ("new", Fraction(0)), ("old", Fraction(1))] == [
        (one.name, one.moved) for one in found
    ]


def test_clusters_and_return_paths_are_compared_too() -> None:
    before = fleet()
    after = fleet(
        cluster=[cluster(members=cluster().members[:2])],
        return_path=[return_path(routers=return_path().routers[:2])],
    )
    found = differences(tiers_of(before), tiers_of(after))

    assert {
        ("cluster", "routers/ipv4"): Fraction(2, 3),
        ("cluster", "routers/ipv6"): Fraction(2, 3),
        ("service", "web"): Fraction(0),
        ("return_path", "back/web"): Fraction(2, 3),
    } == {(one.kind, one.name): one.moved for one in found}
