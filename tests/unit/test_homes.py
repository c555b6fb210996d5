"""Which slots are an owner's own, and what is wrong with those that a file names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from remainder.config import Config, Server, Service
from remainder.errors import ConfigError
from remainder.homes import free_slot, own_slots
from remainder.plan import make_plan


def server(name: str, slot: int | None = None, weight: int = 1) -> Server:
    return Server(name=name, address=f"192.0.2.{11 + int(name[1:])}", weight=weight, slot=slot)


def service(*servers: Server, slots: int | None = 4, table: str = "modulo") -> Config:
    web = Service(
        name="web", vip="203.0.113.10", port=80, protocol="tcp", key="src_ip", table=table,
        slots=slots, servers=list(servers),
    )  # fmt: skip
    return Config(service=[web])


def test_a_table_with_slots_is_planned_by_the_file_alone() -> None:
    plan = make_plan(service(server("s0", 0), server("s2", 2, weight=2), server("s1", 1)))

    assert ["s0", "s1", "s2", "s2"] == [plan.choices[0].owner(slot).name for slot in range(4)]


def test_the_order_of_servers_with_slots_does_not_matter() -> None:
    one = make_plan(service(server("s0", 0), server("s1", 3)))
    other = make_plan(service(server("s1", 3), server("s0", 0)))

    assert one.fingerprint == other.fingerprint


@pytest.mark.parametrize(
    ("place", "problem", "config"),
    [
        (
            "slots",
            (
                "slots is 4, but no server names its slot; give each server one, like slot = 0, "
                "or remove slots, or use table = 'maglev'"
            ),
            service(server("s0")),
        ),
        (
            "servers[1].slot",
            (
                "slot is missing; every server of a modulo table with slots needs one; "
                "slot = 1 is free"
            ),
            service(server("s0", 0), server("s1")),
        ),
        (
            "servers[0].slot",
            (
                "slot is 3, but only a modulo table with slots has fixed slots; remove slot, "
                "or use table = 'modulo' with slots"
            ),
            service(server("s0", 3), slots=None),
        ),
        (
            "servers[0].slot",
            (
                "slot is 3, but only a modulo table with slots has fixed slots; remove slot, "
                "or use table = 'modulo' with slots"
            ),
            service(server("s0", 3), table="maglev", slots=7),
        ),
        (
            "servers[0].slot",
            (
                "slot is 3 and weight 2, which ends at slot 4; the last one is 3, "
                "so lower them or raise slots"
            ),
            service(server("s0", 3, weight=2)),
        ),
        (
            "servers[1].slot",
            "slot 1 already belongs to server 's0'; slot = 2 is free",
            service(server("s0", 0, weight=2), server("s1", 1)),
        ),
        (
            "servers[1].slot",
            "slot 0 already belongs to server 's0'; raise slots",
            service(server("s0", 0, weight=4), server("s1", 0, weight=0)),
        ),
    ],
)
def test_a_wrong_slot_is_named_with_its_place(place: str, problem: str, config: Config) -> None:
    with pytest.raises(ConfigError) as refused:
        make_plan(config)

    assert f"service[0].{place}" == refused.value.where
    assert problem == refused.value.problem


def test_a_server_of_weight_0_keeps_its_first_slot() -> None:
    assert range(2, 3) == own_slots(server("s0", 2, weight=0))
    assert range(0) == own_slots(server("s0"))


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 4)), max_size=8), st.integers(1, 5))
def test_a_free_slot_is_the_first_with_room(owned: list[tuple[int, int]], weight: int) -> None:
    owners = [replace(server("s0", slot), weight=size) for slot, size in owned]
    taken = {slot for owner in owners for slot in own_slots(owner)}
    room = [at for at in range(41 - weight) if taken.isdisjoint(range(at, at + weight))]

    assert (room[0] if room else None) == free_slot(owners, 40, weight=weight)
