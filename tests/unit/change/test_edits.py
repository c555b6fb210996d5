"""Edits as values: what each changes, and what it remembers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from remainder.change.edits import (
    Section,
    add,
    forget,
    rekey,
    remembering,
    remove,
    section_named,
    sections_with,
    weigh,
    with_sections,
)
from remainder.config import (
    MAX_EARLIER,
    Cluster,
    Config,
    Server,
    Service,
)
from remainder.errors import ConfigError
from remainder.plan import make_plan
from remainder.selection.key import parse_key
from tests.fleets import cluster, fleet, return_path
from tests.unit.change.pairs import HASH, earlier, file, server, web

FOUR = tuple(map(server, range(11, 15)))


def changed(config: Config, change: Any) -> Service:
    (section,) = with_sections(config, [config.service[0]], change).service
    return section


def test_the_calculation_of_before_is_remembered_newest_first() -> None:
    more = changed(file(*FOUR), lambda it: add(it, server(15)))
    again = changed(
        Config(service=[more]),
        lambda it: rekey(it, parse_key("src_ip + src_port"), table=None, slots=None),
    )

    assert [earlier(*FOUR)] == more.before
    assert [earlier(*FOUR, server(15)), earlier(*FOUR)] == again.before


def test_what_changes_no_answer_is_not_remembered() -> None:
    silent = changed(file(*FOUR), lambda it: add(it, server(15, weight=0)))
    same = changed(file(*FOUR), lambda it: weigh(it, "s11", 1))

    assert [] == silent.before == same.before


def test_going_back_forgets_the_calculation_that_is_current_again() -> None:
    more = changed(file(*FOUR), lambda it: add(it, server(15)))
    back = changed(Config(service=[more]), lambda it: remove(it, "s15"))

    assert [earlier(*FOUR, server(15))] == back.before


@given(st.lists(st.sampled_from(["add", "remove", "key", "settle"]), max_size=12))
def test_no_calculation_is_listed_twice_and_none_is_the_current_one(steps: list[str]) -> None:
    config = file(*FOUR)
    for step in steps:
        section: Section = config.service[0]
        names = [owner.name for owner in section.owners]
        if step == "settle":
            config = forget(config, [section], keep=2)
            continue
        key = parse_key("src_ip" if str(section.key) != "src_ip" else HASH)
        if (step, "s15" in names) == ("add", True) or (step, len(names)) == ("remove", 1):
            continue
        new: Section = rekey(section, key, table=None, slots=None)
        if step == "add":
            new = add(section, server(15))
        elif step == "remove":
            new = remove(section, names[-1])
        try:
            config = replace(config, service=[remembering(section, new)])
        except ConfigError as error:
            assert "run `remainder settle` first" in str(error)  # noqa: PT017
            continue
        (service,) = config.service
        answers = [(str(one.key), one.table, tuple(one.servers)) for one in service.before]

        assert len(set(answers)) == len(answers) <= MAX_EARLIER
        assert (str(service.key), service.table, tuple(service.servers)) not in answers
        assert make_plan(config)


def test_more_than_can_be_remembered_is_refused() -> None:
    full = web(*FOUR, before=[earlier(*FOUR, slots=n, table="maglev") for n in (7, 11, 13, 17)])

    with pytest.raises(ConfigError, match="already lists 4 earlier calculations"):
        remembering(full, replace(full, key="src_ip"))


def test_udp_routers_and_members_remember_nothing() -> None:
    key = parse_key("dst_port")
    members = cluster(name="c", address="203.0.113.20")
    for section in (web(*FOUR, protocol="udp"), return_path(), cluster(), members):
        assert [] == getattr(remembering(section, replace(section, key=key)), "before", [])


def test_a_free_slot_is_found_in_a_table_with_slots() -> None:
    own = [replace(server(11), slot=0), replace(server(12), slot=2)]
    more = changed(file(*own, slots=4), lambda it: add(it, server(13)))

    assert [0, 2, 1] == [one.slot for one in more.servers]
    with pytest.raises(ConfigError, match="has no 2 free slots in a row; raise slots"):
        add(web(*own, slots=4), server(13, weight=2))


def test_another_table_drops_the_slots_of_the_old_one() -> None:
    own = [replace(server(11), slot=0), replace(server(12), slot=1)]
    one = rekey(web(*own, slots=2), None, table="maglev", slots=None)
    other = rekey(web(*FOUR, table="maglev", slots=31), None, table=None, slots=7)

    assert isinstance(one, Service)
    assert ("maglev", None, [None, None]) == (one.table, one.slots, [it.slot for it in one.servers])
    assert ("maglev", 7) == (other.table, other.slots)


def test_settling_keeps_the_newest() -> None:
    config = file(*FOUR, before=[earlier(*FOUR, key="src_ip"), earlier(*FOUR, key="dst_port")])

    assert [earlier(*FOUR, key="src_ip")] == forget(config, config.service, 1).service[0].before
    assert [] == forget(config, config.service).service[0].before


# -- which section -----------------------------------------------------------------------

TWO = Config(service=[web(*FOUR), web(*FOUR, name="tls", port=443)])


def test_a_section_is_found_by_its_name_or_as_the_only_one() -> None:
    assert file(*FOUR).service[0] == section_named(file(*FOUR), None)
    assert TWO.service[1] == section_named(TWO, "tls") == section_named(TWO, "service.tls")


def test_an_owner_is_found_in_all_services_that_list_it() -> None:
    assert ["web", "tls"] == [one.name for one in sections_with(TWO, "s11", None)]
    assert ["tls"] == [one.name for one in sections_with(TWO, "s11", "tls")]


@pytest.mark.parametrize(
    ("sentence", "act"),
    [
        (
            "the file has several sections; choose one with --in: service.web, service.tls",
            lambda: section_named(TWO, None),
        ),
        (
            "--in: 'ftp' is not in the file; choose one of service.web, service.tls",
            lambda: section_named(TWO, "ftp"),
        ),
        (
            "--in: 'back' is ambiguous; choose one of cluster.back, return_path.back",
            lambda: section_named(fleet(cluster=[cluster(name="back")]), "back"),
        ),
        (
            "'s9' is not in the file; it has s11, s12, s13, s14",
            lambda: sections_with(TWO, "s9", None),
        ),
        (
            "'s9' is not in service.tls; it has s11, s12, s13, s14",
            lambda: sections_with(TWO, "s9", "tls"),
        ),
        (
            "'r1' is in cluster.routers, return_path.back; choose one with --in",
            lambda: sections_with(fleet(), "r1", None),
        ),
        ("'s11' is already in service.web", lambda: add(web(*FOUR), server(11))),
        (
            "no server of service.web would have a weight; add another first",
            lambda: remove(web(server(11), server(12, weight=0)), "s11"),
        ),
        (
            "no server of service.web would have a weight; add another first",
            lambda: weigh(web(server(11)), "s11", 0),
        ),
        (
            "'s9' is not in service.web; it has s11, s12, s13, s14",
            lambda: weigh(web(*FOUR), "s9", 2),
        ),
    ],
)
def test_what_cannot_be_done_is_one_sentence(sentence: str, act: Any) -> None:
    with pytest.raises(ConfigError) as refused:
        act()

    assert sentence == str(refused.value)


def test_the_sections_are_values_of_the_file() -> None:
    assert isinstance(section_named(fleet(), "routers"), Cluster)
    assert isinstance(FOUR[0], Server)
