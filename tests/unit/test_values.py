"""Each kind of text in a file stands for one value, and what has not its shape for none."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from remainder import values
from remainder.errors import ConfigError
from remainder.selection.key import Key
from remainder.values import ShapeError, decoded, secret_of

KINDS = {
    "interface": values.InterfaceName,
    "vip": values.Vip,
    "address": values.MachineAddress,
    "address or any": values.SharedAddress,
    "port": values.Port,
    "protocol": values.Protocol,
    "key": values.KeyValue,
    "table": values.TableName,
    "method": values.MethodName,
    "mac": values.Mac,
    "secret": values.Secret,
}


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("address", "192.0.2.11", ip_address("192.0.2.11")),
        ("address", "2001:DB8:0::11", ip_address("2001:db8::11")),
        ("interface", "eth0.5", "eth0.5"),
        ("vip", "203.0.113.10", ip_address("203.0.113.10")),
        ("address or any", "192.0.2.11", ip_address("192.0.2.11")),
        ("address or any", "any", None),
        ("port", 80, 80),
        ("port", "any", None),
        ("protocol", "tcp", 6),
        ("protocol", "icmpv6", 58),
        ("protocol", "any", None),
        ("key", " src_ip+dst_ip ", Key(("src_ip", "dst_ip"), hashed=False)),
        ("key", "hash(src_port)", Key(("src_port",), hashed=True)),
        ("table", "maglev", "maglev"),
        ("method", "l2", "l2"),
        ("mac", "03:00:5e:52:4D:44", b"\x03\x00\x5e\x52\x4d\x44"),
        ("secret", "0aF0" * 8, b"\x0a\xf0" * 8),
    ],
)
def test_a_text_has_one_value(kind: str, text: object, value: object) -> None:
    assert value == decoded(KINDS[kind], text)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "port"])
@pytest.mark.parametrize("given", [7, 7.5, True, None, [], ["any"], {}])
def test_what_is_no_text_has_not_the_shape(kind: str, given: Any) -> None:
    with pytest.raises(ShapeError):
        decoded(KINDS[kind], given)


@pytest.mark.parametrize("given", [0, -1, 65536, 80.0, True, "80", "http", None, [80]])
def test_a_port_is_a_number_or_any(given: Any) -> None:
    with pytest.raises(ShapeError):
        decoded(values.Port, given)


@pytest.mark.parametrize(("kind", "most"), [("address", 60), ("table", 60), ("key", 200)])
def test_a_text_without_an_end_is_not_repeated(kind: str, most: int) -> None:
    with pytest.raises(ConfigError):
        decoded(KINDS[kind], "x" * most)
    with pytest.raises(ShapeError):
        decoded(KINDS[kind], "x" * (most + 1))


@pytest.mark.parametrize("kind", ["protocol", "table", "method"])
def test_a_word_that_nobody_knows_is_told_with_those_that_there_are(kind: str) -> None:
    with pytest.raises(ConfigError, match=rf"unknown {kind} 'nobody'; expected (one of )?\w+"):
        decoded(KINDS[kind], "nobody")


def test_a_key_is_read_once_for_all_services_that_have_it() -> None:
    assert decoded(values.KeyValue, "src_ip + dst_port") is decoded(
        values.KeyValue, "src_ip + dst_port"
    )


def test_every_kind_is_written_somehow_for_editors() -> None:
    kinds = {item for item in vars(values).values() if type(item) is values._Kind}

    assert set(KINDS.values()) == kinds == set(values._RULES)
    assert all({"type", "anyOf"} & set(values.schema_of(kind)) for kind in kinds)


def test_a_secret_is_never_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        secret_of("secret words")

    assert "words" not in str(caught.value)
    assert "secret has 12 characters; expected 32 hexadecimal digits" in caught.value.problem
