"""A TOML file becomes a Config; every mistake becomes one sentence with its place.

``FILE:LINE: PLACE (NAMES): what came, what was wanted, what to do next``, where
PLACE is like ``service[0].servers[1].weight`` and has no spaces.  The line is
left out where it cannot be told.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Final

import msgspec

from remainder.config import (
    MAX_SERVERS,
    MAX_SERVICES,
    MAX_SLOTS,
    Balancer,
    Config,
    Server,
    Service,
    secret_problem,
    validate,
)
from remainder.errors import ConfigError
from remainder.flow import PROTOCOLS
from remainder.forwarding import METHODS
from remainder.selection import ALGORITHMS
from remainder.sources.lines import Place, lines_of


class Source:
    """A file that is followed: loaded now, and again when it has changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fingerprint = ""  # of the file that was loaded last (SHA-256, hexadecimal)
        self._followed = [path]
        self._seen: list[tuple[int, ...]] = []

    def load(self) -> Config:
        """Read and check the file.  Raises ConfigError; then ``changed`` waits for a better one."""
        # Looked at before it is read: a change in between is seen as one more change.
        self._seen = self._look()
        try:
            content = self.path.read_bytes()
        except OSError:
            content = b""
        config = load(self.path)
        self._followed = [self.path]
        if config.secret_file is not None:
            self._followed.append(self.path.parent / config.secret_file)
        self._seen = self._look() if len(self._seen) != len(self._followed) else self._seen
        self.fingerprint = hashlib.sha256(content).hexdigest()
        return config

    def changed(self) -> bool:
        """Whether the file, or the file of the secret, may be another one than at the last load."""
        return self._look() != self._seen

    def _look(self) -> list[tuple[int, ...]]:
        looks: list[tuple[int, ...]] = []
        for path in self._followed:
            try:
                found = path.stat()
            except OSError:
                looks.append(())
            else:
                looks.append((found.st_mtime_ns, found.st_size, found.st_ino))
        return looks


def load(path: str | Path) -> Config:
    """Read and check a file.

    Raises ConfigError naming the file, the line where it can be told, the
    place, what came and what was wanted.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(
            f"{path}:{line}", "is not UTF-8 text; save the file as UTF-8, which TOML wants"
        ) from None
    except (OSError, ValueError) as error:
        raise ConfigError(
            str(path), f"cannot be read ({_reason(error)}); give the path of a Remainder file"
        ) from None
    return loads(text, name=str(path), folder=path.parent)


def loads(text: str, name: str = "<text>", folder: Path | None = None) -> Config:
    """Check the text of a file.  ``folder`` is where a relative ``secret_file`` is looked for."""
    raw = _parse(text, name)
    try:
        config = msgspec.convert(raw, Config, strict=True)
        if config.secret_file is not None:
            config = _with_secret(config, config.secret_file, folder=folder or Path())
        validate(config)
    except msgspec.ValidationError as error:
        place, problem = _explain(str(error), raw)
    except ConfigError as error:
        place, problem = _steps(error.where), error.problem
    else:
        return config
    raise ConfigError(_located(name, text, raw=raw, place=place), problem)


def _parse(text: str, name: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        match = re.fullmatch(
            r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", str(error)
        )
        problem, line, column = match.groups() if match else (str(error), None, None)
        if line is None:
            raise ConfigError(
                name, f"is not TOML: {problem}, and the file ends; complete its last line"
            ) from None
        raise ConfigError(
            f"{name}:{line}", f"is not TOML: {problem}, seen at column {column}; correct the line"
        ) from None
    except RecursionError:
        raise ConfigError(
            name, "brackets are nested too deeply; a Remainder file has two"
        ) from None
    except ValueError:
        raise ConfigError(name, "a number has thousands of digits; shorten it") from None


def _with_secret(config: Config, secret_file: str, *, folder: Path) -> Config:
    if config.secret is not None:
        raise ConfigError("secret_file", "secret stands in the file too; keep one of the two")
    path = folder / secret_file
    try:
        secret = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise ConfigError(
            "secret_file",
            f"{str(path)!r} cannot be read ({_reason(error)}); put 32 hexadecimal digits there, "
            f"`openssl rand -hex 16` makes some",
        ) from None
    if problem := secret_problem(secret):
        raise ConfigError("secret_file", f"{str(path)!r} holds no secret: {problem}")
    return msgspec.structs.replace(config, secret=secret)


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is not plain text"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


_KINDS: Final[Mapping[str, tuple[str, type[msgspec.Struct]]]] = {
    "": ("Remainder file", Config),
    "service[]": ("[[service]]", Service),
    "service[].servers[]": ("server", Server),
    "balancer[]": ("[[balancer]]", Balancer),
}
"""Place, numbers left out → what a user calls such a table, and its type."""

_NAME: Final = "a name of letters, digits, '.', '_' and '-', at most 63"
_ADDRESS: Final = "an address in quotes, like '192.0.2.11' or '2001:db8::11'"
_SERVER: Final = '{ name = "s1", address = "192.0.2.11" }'

_WANTED: Final[Mapping[str, str]] = {
    "secret": "32 hexadecimal digits in quotes",
    "secret_file": "the path of a file, at most 255 characters",
    "service": f"1 to {MAX_SERVICES} tables headed [[service]], in two brackets",
    "service[]": "a table headed [[service]], in two brackets",
    "service[].name": _NAME,
    "service[].vip": _ADDRESS,
    "service[].port": 'a number from 1 to 65535 or "any"',
    "service[].protocol": f"one of {', '.join(('any', *PROTOCOLS))}",
    "service[].key": "a sum like 'src_ip + dst_ip + dst_port', or 'hash(src_ip, src_port)'",
    "service[].table": f"one of {', '.join(ALGORITHMS)}",
    "service[].method": f"one of {', '.join(METHODS)}",
    "service[].servers": f"a list of 1 to {MAX_SERVERS} servers, like [ {_SERVER} ]",
    "service[].servers[]": f"a server, like {_SERVER}",
    "service[].servers[].name": _NAME,
    "service[].servers[].address": _ADDRESS,
    "service[].servers[].weight": "a whole number from 0 to 255",
    "service[].slots": f"a prime number up to {MAX_SLOTS}",
    "service[].fragments": "'drop' or 'forward'",
    "balancer": "tables headed [[balancer]], in two brackets",
    "balancer[]": "a table headed [[balancer]], in two brackets",
    "balancer[].name": _NAME,
    "balancer[].interface": "the name of an interface, 1 to 15 characters",
    "balancer[].mode": "'auto', 'native' or 'generic'",
    "balancer[].assign_vips": "true or false",
}
"""Place, numbers left out → what may stand there."""

_EXAMPLES: Final[Mapping[str, str]] = {
    "service": "a [[service]]",
    "name": 'name = "…"',
    "vip": 'vip = "203.0.113.10"',
    "port": "port = 80",
    "protocol": 'protocol = "tcp"',
    "key": 'key = "src_ip + dst_ip + dst_port"',
    "table": 'table = "modulo"',
    "servers": f"servers = [ {_SERVER} ]",
    "address": 'address = "192.0.2.11"',
    "interface": 'interface = "eth0"',
}
"""Required key → what to add where it is missing."""


_MSGSPEC: Final = re.compile(
    r"(?P<problem>.*?)(?: - at `\$\.?(?P<path>[a-z0-9_.\[\]]*)`)?", re.DOTALL
)


def _explain(message: str, raw: dict[str, object]) -> tuple[Place, str]:
    """Turn msgspec's sentence into the place and a sentence for the user."""
    match = _MSGSPEC.fullmatch(message)
    problem, path = (match["problem"], match["path"] or "") if match else (message, "")
    place = _steps(path)
    kind, struct = _KINDS.get(re.sub(r"\d+", "", path), _KINDS[""])
    if unknown := re.fullmatch(r"Object contains unknown field `(.*)`", problem, re.DOTALL):
        known = [field.name for field in msgspec.structs.fields(struct)]
        near = "".join(
            f" (did you mean {word!r}?)" for word in get_close_matches(unknown[1], known, 1)
        )
        return (
            (*place, unknown[1]),
            f"a {kind} has no such key{near}, it has {', '.join(known)}; correct or remove it",
        )
    if missing := re.fullmatch(r"Object missing required field `(.*)`", problem):
        return place, f"{missing[1]!r} is missing; add {_EXAMPLES.get(missing[1], missing[1])}"
    if own := re.fullmatch(r"(vip|address): (.*)", problem, re.DOTALL):
        return (*place, own[1]), own[2]
    came = _value_at(raw, place)
    wanted = _WANTED.get(re.sub(r"\d+", "", _written(place)), problem)
    cure = "; write it without quotes" if isinstance(came, str) and came.isdecimal() else ""
    return place, f"{_shown(came, place)} came, wanted {wanted}{cure}"


def _shown(value: object, place: Place) -> str:
    """A value as its writer knows it, never long and never the secret."""
    match value:
        case dict():
            shown = "a table"
        case list():
            shown = f"a list of {len(value)}" if value else "an empty list"
        case bool():
            shown = str(value).lower()
        case _ if place == ("secret",):
            shown = "something else"
        case int() if abs(value) >= 1 << 64:
            shown = "an enormous number"
        case str():
            shown = repr(value) if len(value) <= 80 else f"{value[:60]!r} and more"
        case _:
            shown = str(value)
    return shown


def _steps(written: str) -> Place:
    """``service[0].port`` → ``("service", 0, "port")``."""
    return tuple(
        int(number) if number else word
        for number, word in re.findall(r"\[(\d+)\]|([^.\[\]]+)", written)
    )


def _written(place: Place) -> str:
    """``("service", 0, "port")`` → ``service[0].port``; strange keys in quotes, without spaces."""
    text = ""
    for step in place:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            plain = re.fullmatch(r"[A-Za-z0-9_-]{1,60}", step)
            text += "." * bool(text) + (step if plain else repr(step[:60]).replace(" ", "\\x20"))
    return text


def _value_at(raw: object, place: Place) -> object:
    """What stands at a place; None if there is nothing."""
    value = raw
    for step in place:
        match value, step:
            case dict(), str() if step in value:
                value = value[step]
            case list(), int() if step < len(value):
                value = value[step]
            case _:
                return None
    return value


def _names(raw: object, place: Place) -> Iterator[str]:
    """``server 's2'``, then ``service 'web'``: the names of what a place lies in."""
    for end in range(len(place), 0, -1):
        name = _value_at(raw, (*place[:end], "name")) if isinstance(place[end - 1], int) else None
        if isinstance(name, str) and name and place[end:] != ("name",):
            yield f"{str(place[end - 2]).removesuffix('s')} {_shown(name, ())}"


def _located(name: str, text: str, *, raw: dict[str, object], place: Place) -> str:
    """``FILE:LINE: PLACE (NAMES)``; the line of what the place lies in, where it has none."""
    known = lines_of(text, raw)
    line = next((known[place[:end]] for end in range(len(place), 0, -1) if place[:end] in known), 0)
    location = f"{name}:{line}" if line else name
    if not place:
        return location
    names = " of ".join(_names(raw, place))
    return f"{location}: {_written(place)}" + (f" ({names})" if names else "")
