"""From the fields of a packet to one number: what the words mean, and that nothing wraps."""

from __future__ import annotations

import random
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remainder.errors import ConfigError
from remainder.flow import Flow
from remainder.selection.key import FIELDS, Key, field_values, parse_key
from remainder.selection.siphash import siphash13
from tests.strategies import flows

CLAIM_13 = parse_key("src_ip + dst_ip + dst_port")
CLAIM_17 = parse_key("src_ip + src_port + dst_ip + dst_port + protocol")
SECRET = bytes(range(16))

some_fields = st.lists(st.sampled_from(FIELDS), min_size=1, unique=True)


def highest(version: int) -> Flow:
    """Every bit of every field is set."""
    address = IPv4Address(2**32 - 1) if version == 4 else IPv6Address(2**128 - 1)
    return Flow(address, 0xFFFF, address, 0xFFFF, 0xFF)


@given(flows(), some_fields)
def test_a_sum_is_the_sum_of_its_fields_and_never_wraps(flow: Flow, fields: list[str]) -> None:
    values = {
        "src_ip": int.from_bytes(flow.src_ip.packed, "big"),
        "dst_ip": int.from_bytes(flow.dst_ip.packed, "big"),
        "src_port": flow.src_port,
        "dst_port": flow.dst_port,
        "protocol": flow.protocol,
    }

    assert sum(values[name] for name in fields) == parse_key(" + ".join(fields)).number(flow)


@pytest.mark.parametrize(("version", "bits"), [(4, 32), (6, 128)])
def test_the_highest_sum_goes_past_the_width_of_an_address(version: int, bits: int) -> None:
    flow = highest(version)

    assert 2 * (2**bits - 1) + 0xFFFF == CLAIM_13.number(flow)
    assert 2 * (2**bits - 1) + 2 * 0xFFFF + 0xFF == CLAIM_17.number(flow)


@given(flows())
def test_the_five_field_sum_is_the_same_in_both_directions(flow: Flow) -> None:
    assert CLAIM_17.number(flow) == CLAIM_17.number(flow.reversed())


@given(flows())
def test_the_three_field_sum_differs_by_the_ports_in_the_other_direction(flow: Flow) -> None:
    difference = CLAIM_13.number(flow) - CLAIM_13.number(flow.reversed())

    assert flow.dst_port - flow.src_port == difference


@given(flows(), some_fields, st.randoms(use_true_random=False))
def test_the_order_of_the_fields_does_not_matter(
    flow: Flow, fields: list[str], chance: random.Random
) -> None:
    shuffled = list(fields)
    chance.shuffle(shuffled)

    for form in ("{}", "hash({})"):
        separator = "," if "hash" in form else "+"
        one, other = (parse_key(form.format(separator.join(names))) for names in (fields, shuffled))

        assert one.number(flow, SECRET) == other.number(flow, SECRET)


@given(flows(), flows(), some_fields)
def test_a_hash_is_equal_where_the_named_fields_are(
    flow: Flow, other: Flow, fields: list[str]
) -> None:
    key = Key(tuple(fields), hashed=True)
    same = flow.version == other.version and all(
        field_values(flow)[name] == field_values(other)[name] for name in fields
    )

    assert same == (key.message(flow) == key.message(other))
    assert same == (key.number(flow, SECRET) == key.number(other, SECRET))


@given(flows())
def test_all_fields_stand_in_the_message_in_network_byte_order(flow: Flow) -> None:
    message = (
        flow.src_ip.packed
        + flow.dst_ip.packed
        + flow.src_port.to_bytes(2, "big")
        + flow.dst_port.to_bytes(2, "big")
        + bytes([flow.protocol])
    )
    key = Key(FIELDS, hashed=True)

    assert message == key.message(flow)
    assert {4: 13, 6: 37}[flow.version] == len(message)
    assert siphash13(SECRET, message) == key.number(flow, SECRET)


def test_a_hash_without_a_secret_is_refused() -> None:
    with pytest.raises(ConfigError, match="there is no secret"):
        parse_key("hash(src_ip)").number(highest(4))


@pytest.mark.parametrize(
    ("text", "fields", "hashed"),
    [
        ("src_ip", ("src_ip",), False),
        ("src_ip+dst_ip", ("src_ip", "dst_ip"), False),
        ("  dst_port  +\n src_ip ", ("dst_port", "src_ip"), False),
        ("hash(src_ip)", ("src_ip",), True),
        (" hash ( src_ip ,src_port ) ", ("src_ip", "src_port"), True),
    ],
)
def test_spaces_do_not_matter_in_an_expression(
    text: str,
    fields: tuple[str, ...],
    hashed: bool,  # noqa: FBT001 (a column of the table)
) -> None:
    assert Key(fields, hashed=hashed) == parse_key(text)


@given(some_fields, st.booleans())
def test_a_key_reads_back_what_it_writes(fields: list[str], hashed: bool) -> None:  # noqa: FBT001
    key = Key(tuple(fields), hashed=hashed)

    assert key == parse_key(str(key))


@given(some_fields, st.booleans())
def test_a_key_reads_ports_if_it_names_one(fields: list[str], hashed: bool) -> None:  # noqa: FBT001
    key = Key(tuple(fields), hashed=hashed)

    assert bool({"src_port", "dst_port"} & set(fields)) == key.reads_ports


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "'' names no field; expected a sum like"),
        ("hash()", "'hash()' names no field; expected a sum like"),
        ("src_ip +", "empty term next to '+' in 'src_ip +'; expected"),
        ("hash(src_ip,)", "empty term next to ',' in 'hash(src_ip,)'; expected"),
        ("src_ip + ttl", "unknown field 'ttl' in 'src_ip + ttl'; expected"),
        ("SRC_IP", "unknown field 'SRC_IP'; expected"),
        ("hash(src_ip, ttl)", "unknown field 'ttl' in 'hash(src_ip, ttl)'; expected"),
        ("src_ip, dst_ip", "unknown field 'src_ip, dst_ip'"),
        ("hash(src_ip + dst_ip)", "unknown field 'src_ip + dst_ip' in 'hash(src_ip + dst_ip)'"),
        ("hash(src_ip) + dst_ip", "unknown field 'hash(src_ip)' in 'hash(src_ip) + dst_ip'"),
        ("hash(src_ip) % 4", "unknown field 'hash(src_ip) % 4'"),
        ("src_ip + src_ip", "src_ip appears twice in 'src_ip + src_ip'; name each field once"),
        ("hash(src_ip, src_ip)", "src_ip appears twice in 'hash(src_ip, src_ip)'; name each"),
    ],
)
def test_what_is_no_expression_is_refused_with_what_to_write(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_key(text, "service[0].key")

    assert caught.value.problem.startswith(sentence)
    assert caught.value.where == "service[0].key"


@given(st.text())
def test_any_text_is_a_key_or_a_config_error(text: str) -> None:
    try:
        fields = set(parse_key(text).fields)
    except ConfigError:
        fields = set()

    assert fields <= set(FIELDS)
