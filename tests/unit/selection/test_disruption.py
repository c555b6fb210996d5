"""What docs/limits.md says a change breaks is what the tables say, to the last digit."""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from fractions import Fraction
from ipaddress import IPv4Address
from math import lcm
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pytest

from remainder.config import Config, Server, Service
from remainder.flow import Flow
from remainder.plan import Plan, make_plan
from remainder.selection import ALGORITHMS

PAGE: Final = Path(__file__).resolve().parents[3] / "docs" / "limits.md"
CLAIM_13: Final = "src_ip + dst_ip + dst_port"
CLAIM_17: Final = "src_ip + src_port + dst_ip + dst_port + protocol"
VIP: Final = IPv4Address("203.0.113.10")
SMALL: Final = 1021

Weights = Mapping[str, int]
Owners = npt.NDArray[np.str_]


def servers(count: int) -> dict[str, int]:
    return {f"s{number}": 1 for number in range(1, count + 1)}


def owners(table: str, weights: Weights, *, slots: int | None = None) -> Owners:
    """Slot → name of the owner."""
    names = list(weights)
    owned = ALGORITHMS[table]([weights[name] for name in names], names, slots, None)
    return np.array(names)[owned]


def moved(before: Owners, after: Owners, *, of: Collection[str] | None = None) -> Fraction:
    """The share of keys whose owner changes, exactly; ``of`` these owners' keys alone.

    Keys repeat their slots after as many as the least common multiple of both sizes.
    """
    period = lcm(len(before), len(after))
    one = np.tile(before, period // len(before))
    other = np.tile(after, period // len(after))
    counted = np.ones(period, dtype=bool) if of is None else np.isin(one, list(of))
    return Fraction(int((one != other)[counted].sum()), int(counted.sum()))


def rows() -> list[tuple[int, int, str, str, str]]:
    """Rows of the page like ``| 4 → 5 | 80.0 % | 20.1 % | 20.0 % |``."""
    percent = r"\s*([\d.]+) %\s*"
    pattern = rf"^\|\s*(\d+) → (\d+)\s*\|{percent}\|{percent}\|{percent}\|$"
    found = re.findall(pattern, PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return [(int(before), int(after), *shares) for before, after, *shares in found]


GROWING: Final = [row for row in rows() if row[0] < row[1]]
SHRINKING: Final = [row for row in rows() if row[0] > row[1]]


def as_written(share: Fraction, like: str) -> str:
    """A share in percent, with as many digits as the page gives it."""
    digits = len(like.partition(".")[2])
    return f"{float(100 * share):.{digits}f}"


def test_the_page_has_both_tables() -> None:
    assert len(GROWING) >= 4
    assert len(SHRINKING) >= 3


@pytest.mark.parametrize("row", GROWING, ids=str)
def test_one_more_server_moves_the_share_on_the_page(row: tuple[int, int, str, str, str]) -> None:
    before, after, modulo, maglev, least = row
    shares = {
        table: moved(owners(table, servers(before)), owners(table, servers(after)))
        for table in ("modulo", "maglev")
    }

    assert before + 1 == after
    assert modulo == as_written(shares["modulo"], modulo)
    assert maglev == as_written(shares["maglev"], maglev)
    assert least == as_written(Fraction(1, after), least)
    assert Fraction(before, after) == shares["modulo"]


@pytest.mark.parametrize("row", SHRINKING, ids=str)
def test_a_server_that_leaves_moves_the_share_on_the_page(
    row: tuple[int, int, str, str, str],
) -> None:
    before, after, modulo, maglev, least = row
    all_of_them = servers(before)
    staying = {name: weight for name, weight in all_of_them.items() if name != "s2"}
    shares = {
        table: moved(owners(table, all_of_them), owners(table, staying), of=staying)
        for table in ("modulo", "maglev")
    }

    assert before - 1 == after
    assert modulo == as_written(shares["modulo"], modulo)
    assert maglev == as_written(shares["maglev"], maglev)
    assert "0" == least


@pytest.mark.parametrize("table", ALGORITHMS)
@pytest.mark.parametrize("count", [2, 4, 10])
def test_weight_0_moves_what_leaving_moves(table: str, count: int) -> None:
    gone = {name: weight for name, weight in servers(count).items() if name != "s2"}
    silent = servers(count) | {"s2": 0}
    slots = None if table == "modulo" else SMALL

    assert owners(table, gone, slots=slots).tolist() == owners(table, silent, slots=slots).tolist()


@pytest.mark.parametrize("count", [2, 4, 10])
def test_only_modulo_goes_by_the_order_of_the_servers(count: int) -> None:
    turned = dict(reversed(servers(count).items()))

    assert 1 == moved(owners("modulo", servers(count)), owners("modulo", turned))
    assert 0 == moved(owners("maglev", servers(count)), owners("maglev", turned))


@pytest.mark.parametrize("count", [4, 10])
def test_only_maglev_goes_by_the_names_of_the_servers(count: int) -> None:
    """Renaming s2 is s2 leaving and another one coming."""
    renamed = {"new" if name == "s2" else name: 1 for name in servers(count)}
    before, after = owners("maglev", servers(count)), owners("maglev", renamed)
    share = moved(before, np.where(after == "new", "s2", after))

    assert 0 < share < Fraction(2, count) + Fraction(1, 100)
    assert [name.replace("s2", "new") for name in owners("modulo", servers(count))] == owners(
        "modulo", renamed
    ).tolist()


def _plan(table: str, key: str, addresses: Mapping[str, str], *, slots: int | None = None) -> Plan:
    service = Service(
        name="web",
        vip=str(VIP),
        port=80,
        protocol="tcp",
        key=key,
        table=table,
        slots=slots,
        servers=[Server(name=name, address=address) for name, address in addresses.items()],
    )
    return make_plan(Config(service=[service], secret=bytes(range(16))))


def _addresses(count: int) -> dict[str, str]:
    return {name: f"192.0.2.{number}" for number, name in enumerate(servers(count), 11)}


def _from(address: int, port: int) -> Flow:
    return Flow(IPv4Address(address), port, VIP, 80, 6)


@pytest.mark.parametrize("table", ALGORITHMS)
def test_a_new_address_moves_the_flows_of_that_server_alone(table: str) -> None:
    slots = None if table == "modulo" else SMALL
    before = _plan(table, CLAIM_17, _addresses(5), slots=slots)
    after = _plan(table, CLAIM_17, _addresses(5) | {"s2": "192.0.2.99"}, slots=slots)
    flows = [_from(0xC6336400 + number % 250, 1024 + 7 * number) for number in range(2000)]
    changed = [flow for flow in flows if before.where(flow).address != after.where(flow).address]

    assert [flow for flow in flows if before.where(flow).owner == "s2"] == changed
    assert changed


@pytest.mark.parametrize("count", [2, 4, 10])
def test_another_calculation_moves_all_but_one_nth(count: int) -> None:
    """Another table and another number of slots, over all keys; give or take half a percent."""
    modulo = owners("modulo", servers(count))
    maglev = owners("maglev", servers(count), slots=SMALL)
    fewer = owners("maglev", servers(count), slots=509)

    for share in (moved(modulo, maglev), moved(maglev, fewer)):
        assert abs(share - Fraction(count - 1, count)) < Fraction(5, 1000)


def test_another_key_moves_all_but_one_nth() -> None:
    """From the sum of claim 13 to that of claim 17, over random flows."""
    before = _plan("modulo", CLAIM_13, _addresses(4))
    after = _plan("modulo", CLAIM_17, _addresses(4))
    chance = random.Random(17)
    flows = [_from(chance.getrandbits(32), chance.getrandbits(16)) for _ in range(4000)]
    share = sum(before.where(flow).owner != after.where(flow).owner for flow in flows) / 4000

    assert abs(share - 3 / 4) < 0.03


@pytest.mark.parametrize("table", ALGORITHMS)
def test_whoever_knows_the_file_can_aim_at_any_server(table: str) -> None:
    """One client reaches each server in the number of tries he has ports for."""
    plan = _plan(table, CLAIM_17, _addresses(7), slots=None if table == "modulo" else SMALL)
    source = 0xC6336407
    aimed = {plan.where(_from(source, port)).owner: port for port in range(1024, 1124)}

    assert set(_addresses(7)) == set(aimed)
    for server, port in aimed.items():
        assert server == plan.where(_from(source, port)).owner


def test_with_a_hash_it_cannot_be_computed_but_it_can_be_probed() -> None:
    """Guessed with another secret: chance.  Tried: for good, until the secret changes."""
    hashed = "hash(src_ip, src_port, dst_ip, dst_port, protocol)"
    plan = _plan("modulo", hashed, _addresses(7))
    real, guessed, renewed = (
        replace(plan, secret=random.Random(seed).randbytes(16)) for seed in (1, 2, 3)
    )
    chance = random.Random(4)
    flows = [_from(chance.getrandbits(32), chance.randrange(1024, 65536)) for _ in range(7_000)]

    def reaching(one: Plan) -> set[int]:
        return {at for at, flow in enumerate(flows) if one.where(flow).owner == "s1"}

    computed, probed = reaching(guessed), reaching(real)

    assert abs(len(computed & probed) / len(computed) - 1 / 7) < 0.03
    assert abs(len(probed) / len(flows) - 1 / 7) < 0.02
    assert probed == reaching(real)
    assert abs(len(probed & reaching(renewed)) / len(probed) - 1 / 7) < 0.03
