"""What the text in a file stands for: each kind of text becomes a value here, and nowhere else.

Rule: pure; a mistake is a ConfigError whose place is added by whoever knows it:
the decoder of a file (``decoded`` is its hook), or the value that is made by hand.
What does not have the shape of its kind at all, like a list for an address, is a
ShapeError: the reader of a file says what may stand there (sources/words.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct
from msgspec.structs import force_setattr

from remainder.errors import ConfigError
from remainder.flow import PROTOCOLS, Address, address_of, mac_of
from remainder.forwarding import METHODS
from remainder.selection import ALGORITHMS
from remainder.selection.key import Key, parse_key

MOST_CHARACTERS: Final = 60
MOST_CHARACTERS_OF_A_KEY: Final = 200


Fields = tuple[tuple[str, Any, tuple[type, ...], Callable[[Any, str], None]], ...]
"""For each field: its name, its kind, the types and the test of its values."""


class ShapeError(ValueError):
    """What stands there is not even text, or a number out of range."""


class _Kind(type):
    """The type of the kinds: what ``decoded`` has made need not be looked at again."""

    def __instancecheck__(cls, value: object) -> bool:
        return True


if TYPE_CHECKING:
    MachineAddress = Address
    SharedAddress = Address | None
    Port = int | None
    Protocol = int | None
    KeyValue = Key
    TableName = str
    MethodName = str
    Mac = bytes
    Secret = bytes
else:

    class MachineAddress(metaclass=_Kind):
        """An address that one machine can be reached at."""

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
    return _READERS[kind](given)


def settle(made: Struct, fields: Fields) -> None:
    """Hold the fields of a struct against their kinds, and turn text into values.

    So what is made by hand is as right as what was read, and may be given as
    text.  Raises ConfigError with the field as its place.
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
        shown = "something else" if kind is Secret else repr(given)
        raise ConfigError(where, f"{shown} came, wanted {_WANTED[kind]}") from None
    except ConfigError as error:
        raise ConfigError(where, error.problem) from None


def _machine_address(given: Any) -> Address:
    if not isinstance(given, str) or len(given) > MOST_CHARACTERS:
        raise ShapeError
    return _address(given)


@lru_cache(maxsize=65_536)
def _address(text: str) -> Address:
    """A large file has each server many times."""
    return address_of(text, "")


def _shared_address(given: Any) -> Address | None:
    return None if given == "any" else _machine_address(given)


def _port(given: Any) -> int | None:
    if given == "any":
        return None
    if type(given) is not int or not 1 <= given <= 65535:
        raise ShapeError
    return given


def _word(given: Any, known: tuple[str, ...]) -> str:
    if not isinstance(given, str) or len(given) > MOST_CHARACTERS:
        raise ShapeError
    if given not in known:
        near = "".join(f" (did you mean {word!r}?)" for word in get_close_matches(given, known, 1))
        raise ConfigError("", f"{given!r} came{near}, wanted one of {', '.join(known)}")
    return given


def _protocol(given: Any) -> int | None:
    return PROTOCOLS.get(_word(given, ("any", *PROTOCOLS)))


def _table(given: Any) -> str:
    return _word(given, tuple(ALGORITHMS))


def _method(given: Any) -> str:
    return _word(given, tuple(METHODS))


def _key(given: Any) -> Key:
    if not isinstance(given, str) or len(given) > MOST_CHARACTERS_OF_A_KEY:
        raise ShapeError
    return _parsed_key(given)


@lru_cache(maxsize=1024)
def _parsed_key(text: str) -> Key:
    """A file with many services has few keys."""
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
    """The 16 bytes of a secret.  Raises ConfigError, which does not tell the secret."""
    if not re.fullmatch(r"[0-9A-Fa-f]{32}", text):
        what = "characters" if re.search(r"[^0-9A-Fa-f]", text) else "hexadecimal digits"
        raise ConfigError(
            where,
            f"{len(text)} {what} came, wanted 32 hexadecimal digits; "
            f"`openssl rand -hex 16` makes some",
        )
    return bytes.fromhex(text)


_READERS: Final[Mapping[Any, Callable[[Any], Any]]] = {
    MachineAddress: _machine_address,
    SharedAddress: _shared_address,
    Port: _port,
    Protocol: _protocol,
    KeyValue: _key,
    TableName: _table,
    MethodName: _method,
    Mac: _mac,
    Secret: _secret,
}

_TEXT: Final[Mapping[str, Any]] = {"type": "string", "maxLength": MOST_CHARACTERS}

_BROADCAST: Final = IPv4Address("255.255.255.255")


def _check_machine_address(address: Address, where: str) -> None:
    if isinstance(address, IPv4Address):
        first = int(address) >> 24
        if 0 < first < 224 and first != 127:
            return  # nearly all; the others are asked at leisure
    elif address.scope_id:
        raise ConfigError(
            where, f"{address} has a zone; write the address without '%' and the rest"
        )
    elif address.ipv4_mapped:
        raise ConfigError(
            where,
            f"::ffff:{address.ipv4_mapped} is an IPv4 address in IPv6 clothes; write it as IPv4",
        )
    if (
        address.is_multicast
        or address.is_unspecified
        or address.is_loopback
        or address == _BROADCAST
    ):
        raise ConfigError(
            where,
            f"{address} is no address that one machine can be reached at; write a unicast address",
        )


def _check_shared_address(address: Address | None, where: str) -> None:
    if address is not None:
        _check_machine_address(address, where)


def _check_range(top: int) -> Callable[[int | None, str], None]:
    def check(number: int | None, where: str) -> None:
        if number is not None and not 1 <= number <= top:
            raise ConfigError(where, f'{number} came, wanted a number from 1 to {top} or "any"')

    return check


def _check_word(known: Mapping[str, object]) -> Callable[[str, str], None]:
    def check(word: str, where: str) -> None:
        if word not in known:
            try:
                _word(word, tuple(known))
            except ShapeError:
                raise ConfigError(where, f"wanted one of {', '.join(known)}") from None
            except ConfigError as error:
                raise ConfigError(where, error.problem) from None

    return check


def _check_bytes(size: int) -> Callable[[bytes | None, str], None]:
    def check(value: bytes | None, where: str) -> None:
        if value is not None and len(value) != size:
            raise ConfigError(where, f"{len(value)} bytes came, wanted {size}")

    return check


def _right(value: object, where: str) -> None:
    """A value of this type is right."""


_CHECKS: Final[Mapping[Any, Callable[[Any, str], None]]] = {
    MachineAddress: _check_machine_address,
    SharedAddress: _check_shared_address,
    Port: _check_range(0xFFFF),
    Protocol: _check_range(0xFF),
    KeyValue: _right,
    TableName: _check_word(ALGORITHMS),
    MethodName: _check_word(METHODS),
    Mac: _check_bytes(6),
    Secret: _check_bytes(16),
}

_VALUES: Final[Mapping[Any, tuple[type, ...]]] = {
    MachineAddress: (IPv4Address, IPv6Address),
    SharedAddress: (IPv4Address, IPv6Address, type(None)),
    Port: (int, type(None)),
    Protocol: (int, type(None)),
    KeyValue: (Key,),
    TableName: (str,),
    MethodName: (str,),
    Mac: (bytes,),
    Secret: (bytes, type(None)),
}
"""Kind → the types of its values."""

_WANTED: Final[Mapping[Any, str]] = {
    MachineAddress: "an address",
    SharedAddress: "an address, or 'any'",
    Port: 'a number from 1 to 65535 or "any"',
    Protocol: "the name of a protocol",
    KeyValue: "a key expression",
    TableName: "the name of a table",
    MethodName: "the name of a method",
    Mac: "a MAC address",
    Secret: "32 hexadecimal digits",
}
"""Kind → what to write, in short."""


def fields_of(**kinds: Any) -> Fields:
    """What ``settle`` goes by."""
    return tuple((name, kind, _VALUES[kind], _CHECKS[kind]) for name, kind in kinds.items())


SCHEMAS: Final[Mapping[Any, Mapping[str, Any]]] = {
    MachineAddress: _TEXT,
    SharedAddress: _TEXT,
    Port: {
        "anyOf": [{"type": "integer", "minimum": 1, "maximum": 65535}, {"enum": ["any"]}],
    },
    Protocol: _TEXT,
    KeyValue: {"type": "string", "maxLength": MOST_CHARACTERS_OF_A_KEY},
    TableName: _TEXT,
    MethodName: _TEXT,
    Mac: {"type": "string", "pattern": r"^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$"},
    Secret: {"type": "string"},
}
"""Kind → how it is written, for editors."""
