"""A service, a cluster and a return path become one kind of choice."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from msgspec.structs import replace

from remainder.choice import (
    ANY_ADDRESS,
    Choice,
    Match,
    Owner,
    Written,
    choice_of,
    cluster_choices,
    owner_states,
    read_match,
    return_choices,
    state_of,
)
from remainder.config import Config
from remainder.errors import ConfigError
from remainder.selection.key import parse_key
from tests.fleets import SUM3, SUM5, changing, cluster, return_path, service
from tests.strategies import configs

VIP = ip_address("203.0.113.10")


def test_a_service_is_a_choice_between_its_servers() -> None:
    assert Choice(
        name="web",
        match=Match(VIP, 80, 6),
        key=parse_key(SUM3),
        table="modulo",
        slots=None,
        owners=(
            Owner("s1", 1, ip_address("192.0.2.11")),
            Owner("s2", 1, ip_address("192.0.2.12")),
        ),
        method="l2",
        fragments="drop",
    ) == choice_of(service())


def test_a_cluster_is_a_choice_between_members_who_have_no_address() -> None:
    (choice,) = cluster_choices(cluster(address=VIP))

    assert Match(VIP, None, None) == choice.match
    assert [Owner(name, 1, None) for name in ("r1", "r2", "r3")] == list(choice.owners)


def test_an_earlier_calculation_is_for_the_same_packets() -> None:
    choice = choice_of(changing())

    assert (choice.match, choice.name, choice.method) == (
        choice.before[0].match,
        choice.before[0].name,
        choice.before[0].method,
    )
    assert [SUM5] == [str(item.key) for item in choice.before]
    assert [["s1", "s2", "s3"]] == [[owner.name for owner in one.owners] for one in choice.before]


@pytest.mark.parametrize(
    ("now", "before", "states"),
    [
        ({"a": 1, "b": 0}, [], {"a": "active", "b": "draining"}),
        ({"a": 1, "b": 1}, [{"a": 1}], {"a": "active", "b": "filling"}),
        ({"a": 1}, [{"a": 1, "b": 1}], {"a": "active", "b": "draining"}),
        ({"a": 1, "b": 0}, [{"a": 1, "b": 2}], {"a": "active", "b": "draining"}),
        (
            {"a": 1, "b": 1},
            [{"a": 1}, {"b": 1, "c": 1}],
            {"a": "active", "b": "active", "c": "draining"},
        ),
        ({"a": 1}, [{"a": 1}, {"c": 1}], {"a": "active", "c": "draining"}),
    ],
)
def test_the_state_of_a_server_follows_from_the_calculations(
    now: dict[str, int], before: list[dict[str, int]], states: dict[str, str]
) -> None:
    """Nothing is stored: who has the file knows it."""
    calculations = [
        replace(
            choice_of(service()),
            owners=tuple(Owner(name, weight, VIP) for name, weight in one.items()),
        )
        for one in (now, *before)
    ]
    choice = replace(calculations[0], before=tuple(calculations[1:]))

    assert states == owner_states(choice)
    assert "gone" == state_of(choice, "nobody")


def test_a_cluster_of_any_address_is_a_choice_for_each_family() -> None:
    choices = cluster_choices(cluster())

    assert ["routers/ipv4", "routers/ipv6"] == [choice.name for choice in choices]
    assert [*ANY_ADDRESS.values()] == [choice.match.address for choice in choices]
    assert all(choice.match.any_address for choice in choices)


def test_a_return_path_is_a_choice_for_each_service_that_it_means() -> None:
    services = [service(), service(name="tls", port=443)]
    all_of_them = return_choices(return_path(), services)
    one = return_choices(return_path(services=["tls"], others=True), services)

    assert ["back/web", "back/tls"] == [choice.name for choice in all_of_them]
    assert [80, 443] == [choice.match.port for choice in all_of_them]
    assert ["back/tls", "back/ipv4", "back/ipv6"] == [choice.name for choice in one]
    assert all(owner.address is not None for choice in one for owner in choice.owners)


@given(configs())
def test_a_choice_has_as_many_slots_as_it_says(config: Config) -> None:
    for choice in map(choice_of, config.service):
        assert choice.slot_count == len(choice.filled())


@given(configs())
def test_what_is_written_of_a_match_can_be_read_again(config: Config) -> None:
    for match in (choice_of(one).match for one in config.service):
        assert match == read_match(*match.written(), version=match.address.version)


@pytest.mark.parametrize("version", [4, 6])
def test_any_is_written_in_all_three_places(version: int) -> None:
    match = Match(ANY_ADDRESS[version], None, None)

    assert Written("any", "any", "any") == match.written()
    assert match == read_match("any", "any", "any", version=version)


def test_a_protocol_without_a_name_is_written_as_its_number() -> None:
    assert Match(VIP, None, 89) == read_match("203.0.113.10", "any", "89", version=4)


@pytest.mark.parametrize(
    ("where", "written"),
    [
        ("vip", ("example.org", 80, "tcp")),
        ("port", ("203.0.113.10", "http", "tcp")),
        ("protocol", ("203.0.113.10", 80, "tpc")),
    ],
)
def test_what_no_file_has_is_refused(where: str, written: tuple[str, int | str, str]) -> None:
    with pytest.raises(ConfigError) as caught:
        read_match(*written, version=4)

    assert where == caught.value.where
