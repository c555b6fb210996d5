"""A TOML file becomes a Config; every mistake becomes one sentence with its place.

``FILE:LINE: PLACE (NAMES): FIELD is VALUE; expected …; what to do next``, where
PLACE is like ``service[0].servers[1].weight`` and has no spaces.  The line is
omitted if it is unknown.
"""

from __future__ import annotations

import hashlib
import re
import shlex
import stat
import time
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Final

import msgspec
import tomli

from remainder.config import Config
from remainder.errors import ConfigError
from remainder.secrecy import fingerprint_of, stretched, weakness
from remainder.sources.lines import Place, lines_of
from remainder.sources.words import EXAMPLES, EXPECTED, SECTIONS
from remainder.validation import validate
from remainder.values import ShapeError, decoded, secret_of

MAX_BYTES: Final = 1 << 26
"""More than 16,384 services with dozens of servers each need."""


RESTLESS_S: Final = 1.0
"""How long a file that never stands still is waited for."""


class Source:
    """A watched file: loaded now, and again when it has changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fingerprint = ""  # of the file that was loaded last, see secrecy.py
        self.exposed: str | None = None  # a warning: others can read its secret
        self._followed = [path]
        self.is_same = False
        """Whether the last load found what the one before it had found."""
        self._loaded: tuple[bytes, bytes | None] | None = None
        self._seen: list[tuple[int, ...]] = []
        self._latest: list[tuple[int, ...]] = []
        self._restless_s: float | None = None

    def load(self) -> Config:
        """Read and check the file.  Raises ConfigError; then ``changed`` waits for a better one."""
        # stat() before read(): a change in between counts as one more change.
        self._seen = self._look()
        content = _content(self.path)
        config = _decoded(content, self.path)
        self._followed = [self.path]
        if config.secret_file is not None:
            self._followed.append(self.path.parent / config.secret_file)
        self._seen = self._look() if len(self._seen) != len(self._followed) else self._seen
        if config.secret is not None:
            stretched(config.secret)  # slow, once; this is read aside, later ones would wait for it
        stands_in_it = config.secret if config.secret_file is None else None
        self.fingerprint = fingerprint_of(content, stands_in_it)
        self.exposed = exposed(self.path, config)
        loaded = (hashlib.sha256(content).digest(), config.secret)
        self.is_same, self._loaded = loaded == self._loaded, loaded
        return config

    def changed(self) -> bool:
        """Whether the file, or the secret's file, may have changed since the last load.

        Only once it is unchanged between two looks, since a file still being written is
        incomplete; but not for longer than ``RESTLESS_S``.
        """
        look = self._look()
        stands_still, self._latest = look == self._latest, look
        if look == self._seen:
            self._restless_s = None
            return False
        if not stands_still:
            if self._restless_s is None:
                self._restless_s = time.monotonic()
            if time.monotonic() - self._restless_s < RESTLESS_S:
                return False
        self._restless_s = None
        return True

    def _look(self) -> list[tuple[int, ...]]:
        looks: list[tuple[int, ...]] = []
        for path in self._followed:
            try:
                found = path.stat()
            except (OSError, ValueError):
                looks.append(())
            else:
                # The time of the last change of the inode cannot be set, as the others can.
                looks.append((found.st_mtime_ns, found.st_size, found.st_ino, found.st_ctime_ns))
        return looks


def load(path: str | Path) -> Config:
    """Read and check a file.

    Raises ConfigError naming the file, the line if known, the place, what was
    found and what was expected.
    """
    path = Path(path)
    return _decoded(_content(path), path)


def exposed(path: Path, config: Config) -> str | None:
    """A warning if every user of this host can read the secret of a file; None if not."""
    if config.secret is None:
        return None
    where = path if config.secret_file is None else path.parent / config.secret_file
    try:
        whole = where.resolve(strict=True)
        mode = stat.S_IMODE(whole.stat().st_mode)
        is_reached = all(folder.stat().st_mode & stat.S_IXOTH for folder in whole.parents)
    except OSError:
        return None
    if not mode & stat.S_IROTH or not is_reached:
        return None
    cure = f"chmod o-r {shlex.quote(str(where))}"
    return f"every user of this host can read the secret in {where} (mode {mode:04o}); run: {cure}"


def _content(path: Path) -> bytes:
    try:
        return _bytes_of(path)
    except (OSError, ValueError) as error:
        raise ConfigError(
            str(path), f"cannot read the file ({_reason(error)}); give the path of a Remainder file"
        ) from None


def _bytes_of(path: Path) -> bytes:
    """The content of a file.  Raises OSError or ValueError, also for one that might never end."""
    if "\0" in str(path):  # each Python version words this differently
        raise ValueError("null byte in the path")
    found = path.stat()
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
        raise ValueError("not a regular file")
    if found.st_size > MAX_BYTES:
        raise ValueError(f"{found.st_size:,} bytes; the maximum is {MAX_BYTES:,}")
    return path.read_bytes()


def text_of(path: Path) -> str:
    """The text of a file, with its line ends as they are.  Raises ConfigError."""
    return _text(_content(path), path)


def _decoded(content: bytes, path: Path) -> Config:
    text = _text(content, path).replace("\r\n", "\n").replace("\r", "\n")  # as text files are read
    return loads(text, name=str(path), folder=path.parent)


def _text(content: bytes, path: Path) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(
            f"{path}:{line}", "not UTF-8; TOML requires UTF-8, so save the file in that encoding"
        ) from None


def loads(text: str, name: str = "<text>", folder: Path | None = None) -> Config:
    """Check the text of a file.  A relative ``secret_file`` is looked up in ``folder``."""
    raw = _parse(text, name)
    try:
        config = msgspec.convert(raw, Config, strict=True, dec_hook=decoded)
        if config.secret_file is not None:
            config = _with_secret(config, config.secret_file, folder=folder or Path())
        elif config.secret is not None:
            _refuse_guessable(config.secret, "secret")
        validate(config)
    except msgspec.ValidationError as error:
        place, problem = _explain(error, raw)
    except ConfigError as error:
        place, problem = _steps(error.where), error.problem
    else:
        return config
    raise ConfigError(_located(name, text, raw=raw, place=place), problem)


def _parse(text: str, name: str) -> dict[str, object]:
    try:
        return tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        match = re.fullmatch(
            r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", str(error)
        )
        problem, line, column = match.groups() if match else (str(error), None, None)
        problem = problem[:1].lower() + problem[1:]
        if line is None:
            raise ConfigError(
                name, f"invalid TOML at the end of the file: {problem}; complete the last line"
            ) from None
        raise ConfigError(
            f"{name}:{line}", f"invalid TOML at column {column}: {problem}; fix this line"
        ) from None
    except RecursionError:
        raise ConfigError(name, "brackets nested too deeply; two levels are enough") from None
    except ValueError:
        raise ConfigError(name, "a number has thousands of digits; shorten it") from None


def _with_secret(config: Config, secret_file: str, *, folder: Path) -> Config:
    if config.secret is not None:
        raise ConfigError("secret_file", "the file has both secret and secret_file; remove one")
    path = folder / secret_file
    try:
        secret = _bytes_of(path).decode("ascii").strip()
    except (OSError, ValueError) as error:
        raise ConfigError(
            "secret_file",
            f"cannot read {str(path)!r} ({_reason(error)}); put 32 hexadecimal digits there, "
            f"e.g. from `openssl rand -hex 16`",
        ) from None
    try:
        read = secret_of(secret)
        _refuse_guessable(read, "secret_file")
        return msgspec.structs.replace(config, secret=read)
    except ConfigError as error:
        raise ConfigError(
            "secret_file", f"no valid secret in {str(path)!r}: {error.problem}"
        ) from None


def _refuse_guessable(secret: bytes, where: str) -> None:
    why = weakness(secret)
    if why is not None:
        raise ConfigError(
            where,
            f"secret {why}, so anybody can guess it; generate one with `openssl rand -hex 16`",
        )


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "not plain text"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


_MSGSPEC: Final = re.compile(
    r"(?P<problem>.*?)(?: - at `\$\.?(?P<path>[a-z0-9_.\[\]]*)`)?", re.DOTALL
)


def _explain(error: msgspec.ValidationError, raw: dict[str, object]) -> tuple[Place, str]:
    """Turn msgspec's sentence into the place and a sentence for the user."""
    match = _MSGSPEC.fullmatch(str(error))
    problem, path = (match["problem"], match["path"] or "") if match else (str(error), "")
    place = _steps(path)
    if isinstance(error.__cause__, ConfigError):  # our own, from a value; msgspec adds its place
        return (*place, *_steps(error.__cause__.where)), error.__cause__.problem
    if isinstance(error.__cause__, ShapeError):
        problem = "a value of another type"
    kind, struct = SECTIONS.get(re.sub(r"\d+", "", path), SECTIONS[""])
    if unknown := re.fullmatch(r"Object contains unknown field `(.*)`", problem, re.DOTALL):
        known = [field.name for field in msgspec.structs.fields(struct)]
        near = "".join(
            f" (did you mean {word!r}?)" for word in get_close_matches(unknown[1], known, 1)
        )
        return (
            (*place, unknown[1]),
            f"unknown key{near}; a {kind} can have {', '.join(known)}",
        )
    if missing := re.fullmatch(r"Object missing required field `(.*)`", problem):
        return place, f"{missing[1]} is missing; add {EXAMPLES.get(missing[1], missing[1])}"
    found = _value_at(raw, place)
    expected = EXPECTED.get(re.sub(r"\d+", "", _written(place)), problem)
    is_number = isinstance(found, str) and found.isdecimal()
    cure = "; write it without quotes" if is_number and "in quotes" not in expected else ""
    return place, f"{_field(place)} is {_shown(found, place)}; expected {expected}{cure}"


def _field(place: Place) -> str:
    """``port``, or ``servers[1]``: the last step of a place, as its writer knows it."""
    name = next((end for end in range(len(place), 0, -1) if isinstance(place[end - 1], str)), 0)
    return _written(place[max(name - 1, 0) :]) or "the file"


def _shown(value: object, place: Place) -> str:
    """A value as its writer knows it, cut if long, and never the secret."""
    match value:
        case dict():
            shown = "a TOML table"
        case list():
            shown = f"a list of {len(value)}" if value else "an empty list"
        case bool():
            shown = str(value).lower()
        case _ if place == ("secret",):
            shown = "not text"
        case int() if abs(value) >= 1 << 64:
            shown = "an enormous number"
        case str():
            shown = repr(value) if len(value) <= 80 else f"{value[:60] + '…'!r}"
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
    """``("service", 0, "port")`` → ``service[0].port``; unusual keys in quotes, without spaces."""
    text = ""
    for step in place:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            plain = re.fullmatch(r"[A-Za-z0-9_-]{1,60}", step)
            text += "." * bool(text) + (step if plain else repr(step[:60]).replace(" ", "\\x20"))
    return text


def _value_at(raw: object, place: Place) -> object:
    """The value at a place; None if there is none."""
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
    """``server 's2'``, then ``service 'web'``: the names of what encloses a place."""
    for end in range(len(place), 0, -1):
        name = _value_at(raw, (*place[:end], "name")) if isinstance(place[end - 1], int) else None
        if isinstance(name, str) and name and place[end:] != ("name",):
            yield f"{str(place[end - 2]).removesuffix('s')} {_shown(name, ())}"


def _located(name: str, text: str, *, raw: dict[str, object], place: Place) -> str:
    """``FILE:LINE: PLACE (NAMES)``; the line of what encloses the place, if it has none itself."""
    known = lines_of(text, raw)
    line = next((known[place[:end]] for end in range(len(place), 0, -1) if place[:end] in known), 0)
    location = f"{name}:{line}" if line else name
    if not place:
        return location
    names = " of ".join(_names(raw, place))
    return f"{location}: {_written(place)}" + (f" ({names})" if names else "")
