"""An earlier calculation built in code is as valid as one read from a file."""

from __future__ import annotations

import pytest

from remainder.config import EarlierMember, EarlierMembers, EarlierServers, Server
from remainder.errors import ConfigError
from remainder.selection.key import parse_key
from tests.fleets import SUM3, servers


def test_an_earlier_calculation_accepts_text_and_holds_values() -> None:
    before = EarlierServers(key=SUM3, table="modulo", servers=servers("s1", "s2"))
    members = EarlierMembers(key=SUM3, table="modulo", members=[EarlierMember(name="r1")])

    assert parse_key(SUM3) == before.key == members.key
    assert ["s1", "s2"] == [owner.name for owner in before.owners]
    assert [("r1", 1)] == [(owner.name, owner.weight) for owner in members.owners]


@pytest.mark.parametrize(
    ("field", "key", "table"), [("key", "src_ip + ", "modulo"), ("table", SUM3, "modullo")]
)
def test_an_earlier_calculation_with_a_mistake_is_refused(field: str, key: str, table: str) -> None:
    with pytest.raises(ConfigError) as refused:
        EarlierServers(key=key, table=table, servers=servers("s1"))

    assert field == refused.value.where


def test_a_server_takes_no_part_unless_it_names_its_interface() -> None:
    server = Server(name="s1", address="192.0.2.11")

    assert (None, "auto") == (server.interface, server.mode)
