"""What the text in a file stands for: each kind of text becomes a value here, and nowhere else.

Rule: pure; a mistake is a ConfigError, and the caller that knows the place adds it:
the decoder of a file (``decoded`` is its hook), or the struct built in code.
A value of the wrong shape altogether, like a list for an address, is a
ShapeError: the reader of a file says what is allowed there (sources/words.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct
from msgspec.structs import force_setattr

from remainder.errors import ConfigError
from remainder.flow import PROTOCOLS, Address, address_of, check_unicast, mac_of
from remainder.forwarding import METHODS
from remainder.link import (
    INTERFACE_EXPECTED,
    INTERFACE_PATTERN,
    check_cluster_mac,
    check_vip,
    is_interface_name,
)
from remainder.selection import ALGORITHMS
from remainder.selection.key import Key, parse_key

MOST_CHARACTERS: Final = 60
MOST_CHARACTERS_OF_A_KEY: Final = 200


Fields = tuple[tuple[str, Any, tuple[type, ...], Callable[[Any, str], None]], ...]
"""For each field: its name, its kind, the types and the test of its values."""


class ShapeError(ValueError):
    """The value has the wrong type, or is a number out of range."""


class _Kind(type):
    """The type of the kinds: values made by ``decoded`` are not checked again."""

    def __instancecheck__(cls, value: object) -> bool:
        return True


if TYPE_CHECKING:
    InterfaceName = str
    MachineAddress = Address
    Vip = Address
    SharedAddress = Address | None
    Port = int | None
    Protocol = int | None
    KeyValue = Key
    TableName = str
    MethodName = str
    Mac = bytes
    Secret = bytes
else:

    class InterfaceName(metaclass=_Kind):
        """A name that Linux gives to interfaces."""

    class MachineAddress(metaclass=_Kind):
        """A unicast address."""

    class Vip(metaclass=_Kind):
        """A unicast address that routers forward to."""

    class SharedAddress(metaclass=_Kind):
        """The same, or None, which is written ``any``."""

    class Port(metaclass=_Kind):
        """A port, or None, which is written ``any``."""

    class Protocol(metaclass=_Kind):
        """An IANA number, written as a name, or None, which is written ``any``."""

    class KeyValue(metaclass=_Kind):
        """A key expression, understood."""

    class TableName(metaclass=_Kind):
        """A word of ALGORITHMS."""

    class MethodName(metaclass=_Kind):
        """A word of METHODS."""

    class Mac(metaclass=_Kind):
        """Six bytes."""

    class Secret(metaclass=_Kind):
        """Sixteen bytes."""


def decoded(kind: Any, given: Any) -> Any:
    """The value of a kind.  Raises ConfigError without a place, or ShapeError."""
    return _RULES[kind].read(given)


def schema_of(kind: Any) -> dict[str, Any]:
    """How a kind is written, for editors."""
    return dict(_RULES[kind].schema)


def fields_of(**kinds: Any) -> Fields:
    """The table that ``settle`` works through."""
    return tuple(
        (name, kind, _RULES[kind].types, _RULES[kind].check) for name, kind in kinds.items()
    )


def settle(made: Struct, fields: Fields) -> None:
    """Check the fields of a struct against their kinds, and turn text into values.

    So a struct built in code is as valid as one read from a file, and accepts
    text too.  Raises ConfigError with the field as its place.
    """
    for name, kind, types, check in fields:
        given = getattr(made, name)
        if type(given) not in types:
            given = _settled(kind, given, name)
            force_setattr(made, name, given)
        check(given, name)


def _settled(kind: Any, given: Any, where: str) -> Any:
    try:
        return decoded(kind, given)
    except ShapeError:
        shown = "not text" if kind is Secret else repr(given)
        raise ConfigError(where, f"{where} is {shown}; expected {_RULES[kind].expected}") from None
    except ConfigError as error:
        raise ConfigError(where, error.problem) from None


def _interface_name(given: Any) -> str:
    if not isinstance(given, str) or not is_interface_name(given):
        raise ShapeError
    return given


def _machine_address(given: Any) -> Address:
    if not isinstance(given, str) or len(given) > MOST_CHARACTERS:
        raise ShapeError
    return _address(given)


@lru_cache(maxsize=65_536)
def _address(text: str) -> Address:
    """Cached: a large file names each server many times."""
    return address_of(text, "")


def _shared_address(given: Any) -> Address | None:
    return None if given == "any" else _machine_address(given)


def _port(given: Any) -> int | None:
    if given == "any":
        return None
    if type(given) is not int or not 1 <= given <= 65535:
        raise ShapeError
    return given


def _word(given: Any, what: str, known: tuple[str, ...]) -> str:
    if not isinstance(given, str) or len(given) > MOST_CHARACTERS:
        raise ShapeError
    if given not in known:
        near = "".join(f" (did you mean {word!r}?)" for word in get_close_matches(given, known, 1))
        raise ConfigError("", f"unknown {what} {given!r}{near}; expected {_one_of(known)}")
    return given


def _one_of(known: tuple[str, ...]) -> str:
    return f"one of {', '.join(known)}" if len(known) > 1 else known[0]


def _protocol(given: Any) -> int | None:
    return PROTOCOLS.get(_word(given, "protocol", ("any", *PROTOCOLS)))


def _table(given: Any) -> str:
    return _word(given, "table", tuple(ALGORITHMS))


def _method(given: Any) -> str:
    return _word(given, "method", tuple(METHODS))


def _key(given: Any) -> Key:
    if not isinstance(given, str) or len(given) > MOST_CHARACTERS_OF_A_KEY:
        raise ShapeError
    return _parsed_key(given)


@lru_cache(maxsize=1024)
def _parsed_key(text: str) -> Key:
    """Cached: a file with many services has few different keys."""
    return parse_key(text, "")


def _mac(given: Any) -> bytes:
    try:
        return mac_of(given)
    except ConfigError:
        raise ShapeError from None


def _secret(given: Any) -> bytes:
    if not isinstance(given, str):
        raise ShapeError
    return secret_of(given, "")


def secret_of(text: str, where: str = "secret") -> bytes:
    """The 16 bytes of a secret.  Raises ConfigError, which does not reveal the secret."""
    if not re.fullmatch(r"[0-9A-Fa-f]{32}", text):
        what = "characters" if re.search(r"[^0-9A-Fa-f]", text) else "hexadecimal digits"
        raise ConfigError(
            where,
            f"secret has {len(text)} {what}; expected 32 hexadecimal digits; "
            f"generate one with `openssl rand -hex 16`",
        )
    return bytes.fromhex(text)


def _check_shared_address(address: Address | None, where: str) -> None:
    if address is not None:
        check_vip(address, where)


def _check_range(top: int) -> Callable[[int | None, str], None]:
    def check(number: int | None, where: str) -> None:
        if number is not None and not 1 <= number <= top:
            raise ConfigError(where, f'{where} is {number}; expected 1–{top} or "any"')

    return check


def _check_word(what: str, known: Mapping[str, object]) -> Callable[[str, str], None]:
    def check(word: str, where: str) -> None:
        if word not in known:
            try:
                _word(word, what, tuple(known))
            except ShapeError:
                raise ConfigError(
                    where, f"unknown {what}; expected {_one_of(tuple(known))}"
                ) from None
            except ConfigError as error:
                raise ConfigError(where, error.problem) from None

    return check


def _check_interface(name: str, where: str) -> None:
    if not is_interface_name(name):
        expected = _RULES[InterfaceName].expected
        raise ConfigError(where, f"{where} is {name!r}; expected {expected}")


def _check_mac(mac: bytes, where: str) -> None:
    _check_bytes(6)(mac, where)
    check_cluster_mac(mac, where)


def _check_bytes(size: int) -> Callable[[bytes | None, str], None]:
    def check(value: bytes | None, where: str) -> None:
        if value is not None and len(value) != size:
            raise ConfigError(where, f"{where} has {len(value)} bytes; expected {size}")

    return check


def _right(value: object, where: str) -> None:
    """Any value of this type is valid."""


@dataclass(frozen=True, slots=True)
class _Rule:
    """All about a kind."""

    read: Callable[[Any], Any]
    """from the text in a file to the value"""
    types: tuple[type, ...]
    """of its values"""
    check: Callable[[Any, str], None]
    """of a value of these types, with the place"""
    expected: str
    """what to write, in short"""
    schema: Mapping[str, Any]
    """how it is written, for editors"""


def _text(most: int = MOST_CHARACTERS) -> Mapping[str, Any]:
    return {"type": "string", "maxLength": most}


_NONE: Final = type(None)
_ADDRESSES: Final = (IPv4Address, IPv6Address)
_PORT_SCHEMA: Final = {
    "anyOf": [{"type": "integer", "minimum": 1, "maximum": 65535}, {"enum": ["any"]}]
}
_MAC_SCHEMA: Final = {"type": "string", "pattern": r"^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$"}

_RULES: Final[Mapping[Any, _Rule]] = {
    InterfaceName: _Rule(
        _interface_name,
        (str,),
        _check_interface,
        INTERFACE_EXPECTED,
        {"type": "string", "minLength": 1, "maxLength": 15, "pattern": INTERFACE_PATTERN},
    ),
    Vip: _Rule(_machine_address, _ADDRESSES, check_vip, "an address", _text()),
    MachineAddress: _Rule(_machine_address, _ADDRESSES, check_unicast, "an address", _text()),
    SharedAddress: _Rule(
        _shared_address,
        (*_ADDRESSES, _NONE),
        _check_shared_address,
        "an address, or 'any'",
        _text(),
    ),
    Port: _Rule(_port, (int, _NONE), _check_range(0xFFFF), '1–65535 or "any"', _PORT_SCHEMA),
    Protocol: _Rule(_protocol, (int, _NONE), _check_range(0xFF), "a protocol name", _text()),
    KeyValue: _Rule(_key, (Key,), _right, "a key expression", _text(MOST_CHARACTERS_OF_A_KEY)),
    TableName: _Rule(_table, (str,), _check_word("table", ALGORITHMS), "a table name", _text()),
    MethodName: _Rule(_method, (str,), _check_word("method", METHODS), "a method name", _text()),
    Mac: _Rule(_mac, (bytes,), _check_mac, "a MAC address", _MAC_SCHEMA),
    Secret: _Rule(
        _secret, (bytes, _NONE), _check_bytes(16), "32 hexadecimal digits", {"type": "string"}
    ),
}
