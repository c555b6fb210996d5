"""A server that cannot pass sessions on is named before the change."""

from __future__ import annotations

from remainder.config import Config
from remainder.lint.second_chance import without_chance
from tests.fleets import changing, servers, service


def test_a_fleet_whose_servers_name_their_interfaces_has_nothing_to_say() -> None:
    assert [] == without_chance(Config(service=[service(), changing()]))


def test_a_server_without_an_interface_is_named() -> None:
    now = [*servers("s1"), *servers("s5", "s6", interface=None)]
    (found,) = without_chance(Config(service=[changing(servers=now)]))

    assert ("web", ["s5", "s6"]) == (found.service, found.servers)
    assert "add interface" in found.sentence


def test_who_owns_nothing_now_gets_no_session_of_others() -> None:
    now = [*servers("s1"), *servers("s5", interface=None, weight=0)]

    assert [] == without_chance(Config(service=[changing(servers=now)]))


def test_an_interface_named_in_an_earlier_calculation_is_enough() -> None:
    assert [] == without_chance(Config(service=[changing(servers=servers("s1", interface=None))]))
