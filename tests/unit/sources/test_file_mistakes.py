# ruff: noqa: E501 (a sentence stands on one line, as its reader sees it)
"""Every mistake that a user can make in a file gives one sentence: where, what, and what to do."""

from __future__ import annotations

import re
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remainder.errors import ConfigError
from remainder.sources.file import loads
from tests.unit.sources.mistakes import MISTAKES, SERVERS, SHOP

SENTENCE = re.compile(
    r"shop\.toml(:(?P<line>[0-9]+))?: ((?P<place>[^ ]+)( \([^)]*\))?: )?(?P<problem>[^\n]+)"
)


def sentence_of(text: str) -> str:
    """What is said of a wrong file; empty if it is right."""
    try:
        loads(text, name="shop.toml")
    except ConfigError as error:
        return str(error)
    return ""


def test_the_shop_is_right() -> None:
    config = loads(SHOP)

    assert ["web", "dns"] == [service.name for service in config.service]
    assert [ip_address("192.0.2.21"), ip_address("192.0.2.22")] == [
        server.address for server in config.service[1].servers
    ]
    assert [1, 2] == [server.weight for server in config.service[0].servers]


@pytest.mark.parametrize(("right", "wrong", "sentence"), MISTAKES)
def test_a_mistake_gives_one_sentence(right: str, wrong: str, sentence: str) -> None:
    assert SHOP.count(right) == 1
    assert sentence == sentence_of(SHOP.replace(right, wrong))


@pytest.mark.parametrize("sentence", [sentence for _, _, sentence in MISTAKES])
def test_file_line_and_place_are_found_by_a_machine(sentence: str) -> None:
    assert SENTENCE.fullmatch(sentence)


def test_too_few_slots_for_the_servers_are_told() -> None:
    servers = ", ".join(f'{{ name = "s{n}", address = "192.0.2.{n}" }}' for n in range(1, 4))
    text = SHOP.replace(SERVERS, f"servers = [ {servers} ]\nslots = 2\n").replace(
        "modulo", "maglev"
    )

    assert (
        "shop.toml:11: service[0].slots (service 'web'): 2 slots are too few for 3 servers; choose a larger prime"
        == sentence_of(text)
    )


def test_too_many_slots_in_all_are_told() -> None:
    service = SHOP[SHOP.index("[[service]]") : SHOP.index("[[service]]\nname      =")]
    service = service.replace("modulo", "maglev").replace("servers ", "slots = 1048573\nservers ")
    text = "\n".join(
        service.replace("web", f"web-{port}").replace("= 80", f"= {port}") for port in range(1, 130)
    )

    assert (
        "shop.toml:1: service: the tables need 135,265,917 slots in total, the maximum is 134,217,728; give the services fewer slots"
        == sentence_of(text)
    )


def test_too_many_servers_are_told() -> None:
    servers = ",\n".join(
        f'{{ name = "s{n}", address = "2001:db8::{n:x}" }}' for n in range(1, 16386)
    )

    assert (
        "shop.toml:10: service[0].servers (service 'web'): servers is a list of 16385; expected a list of 1–16384 servers, "
        'like [ { name = "s1", address = "192.0.2.11" } ]'
    ) == sentence_of(SHOP.replace(SERVERS, f"servers = [ {servers} ]\n"))


def test_a_wrong_secret_is_never_repeated() -> None:
    for wrong in ('"00112233"', "11223344", '["11223344"]', '"x11223344"'):
        text = SHOP.replace('"8f1d0c5ab3e27946d1f0a86e35bc9247"', wrong)

        assert "secret: " in sentence_of(text)
        assert "11223344" not in sentence_of(text)


SNIPPETS = [
    *["", "\n", '"', "'", '"""', "=", ".", ",", "[", "]", "{", "}", "#", "[[", "]]", " ", "\\"],
    *["true", "-1", "1.5", "nan", "inf", "1979-05-27", "07:32:00", "0x" + "f" * 5000, "9" * 5000],
    *['"any"', '"x"', "[]", "{}", "[1]", "[[]]", "{ a = 1 }", "[service]", "[[service]]", "\u2028"],
    *["[[service.servers]]", "name", "port = 1", "servers = 1", "vip.x = 1", "\0", "ü", "weight"],
    *[
        "'fe80::1%a b'",
        '"::"',
        '"\\u0000"',
        '"\\n"',
        "secret_file = '/'",
        "secret_file = '\\u0000'",
    ],
]
words = st.lists(
    st.tuples(st.integers(0, len(SHOP)), st.integers(0, 30), st.sampled_from(SNIPPETS)),
    min_size=1,
    max_size=4,
)


@given(words)
def test_whatever_is_written_over_a_file_gives_a_config_or_one_sentence(
    changes: list[tuple[int, int, str]],
) -> None:
    text = SHOP
    for start, length, snippet in changes:
        text = text[:start] + snippet + text[start + length :]
    sentence = sentence_of(text)

    assert sentence == "" or sentence.startswith("shop.toml:")
    assert sentence.isprintable()
    assert len(sentence) < 1000


@given(st.text())
def test_any_text_gives_a_config_or_one_sentence(text: str) -> None:
    sentence = sentence_of(text)

    assert sentence.startswith("shop.toml")
    assert sentence.isprintable()
