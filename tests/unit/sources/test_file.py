"""What becomes of a file on the disk, and of a secret beside it, before its text is looked at?"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from remainder.config import Config
from remainder.errors import ConfigError
from remainder.sources.file import MAX_BYTES, Source, load, loads
from tests.unit.sources.mistakes import SHOP

SECRET = 'secret = "8f1d0c5ab3e27946d1f0a86e35bc9247"'


def test_a_file_is_named_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "shop.toml"
    path.write_text(SHOP.replace("port     = 80", "port     = 0"), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(path)

    assert str(caught.value).startswith(f"{path}:6: service[0].port (service 'web'): port is 0")
    assert f"{path}:6: service[0].port (service 'web')" == caught.value.where


UNENDING = "not a regular file"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nowhere.toml", "No such file or directory"),
        (".", "Is a directory"),
        ("no\0name", "null byte in the path"),
        ("pipe", UNENDING),
        ("/dev/zero", UNENDING),
        ("large", f"{MAX_BYTES + 1:,} bytes; the maximum is {MAX_BYTES:,}"),
    ],
)
@pytest.mark.parametrize("read", [load, lambda path: Source(path).load()])
def test_a_file_that_cannot_be_read_is_told(
    tmp_path: Path, name: str, reason: str, read: Callable[[Path], Config]
) -> None:
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "large").open("wb") as large:
        large.truncate(MAX_BYTES + 1)
    path = tmp_path / name
    with pytest.raises(ConfigError) as caught:
        read(path)

    assert f"{path}: cannot read the file ({reason}); give the path of a Remainder file" == str(
        caught.value
    )


def test_a_file_in_another_encoding_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "shop.toml"
    path.write_bytes(SHOP.replace("as in claim", "wie in Anspruch für").encode("latin-1"))
    with pytest.raises(ConfigError) as caught:
        load(path)

    assert f"{path}:8: not UTF-8; TOML requires UTF-8, so save the file in that encoding" == str(
        caught.value
    )


@pytest.mark.parametrize("content", [b"", b"# nothing\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_told_what_to_add(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "shop.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(path)

    assert f"{path}: no [[service]], [[cluster]] or [[return_path]]; add one" == str(caught.value)


def test_the_mark_that_windows_editors_put_first_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "shop.toml"
    path.write_bytes(b"\xef\xbb\xbf" + SHOP.replace("\n", "\r\n").encode())

    assert loads(SHOP) == load(path)


@pytest.mark.parametrize("path_of", [str, lambda path: Path(path).name])
def test_a_secret_may_stand_in_a_file_beside(tmp_path: Path, path_of: type[str]) -> None:
    secret = tmp_path / "secret"
    secret.write_text("8f1d0c5ab3e27946d1f0a86e35bc9247\n", encoding="utf-8")
    path = tmp_path / "shop.toml"
    path.write_text(
        SHOP.replace(SECRET, f'secret_file = "{path_of(str(secret))}"'), encoding="utf-8"
    )

    assert bytes.fromhex("8f1d0c5ab3e27946d1f0a86e35bc9247") == load(path).secret


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            b"",
            (
                "no valid secret in '{}': secret has 0 hexadecimal digits; expected 32 hexadecimal "
                "digits; generate one with `openssl"
            ),
        ),
        (
            b"0" * 31,
            "no valid secret in '{}': secret has 31 hexadecimal digits; expected 32 hexadecimal ",
        ),
        (
            b"g" * 32,
            (
                "no valid secret in '{}': secret has 32 characters; expected 32 hexadecimal "
                "digits; generate one with `openssl"
            ),
        ),
        (
            b"0" * 32 + b"\n# mine",
            "no valid secret in '{}': secret has 39 characters; expected 32 hexadecimal",
        ),
        (b"\xff" * 16, "cannot read '{}' (not plain text); put 32 hexadecimal digits there"),
    ],
)
def test_a_secret_file_without_a_secret_is_told(
    tmp_path: Path, content: bytes, problem: str
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(content)
    path = tmp_path / "shop.toml"
    path.write_text(SHOP.replace(SECRET, 'secret_file = "secret"'), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(path)

    assert str(caught.value).startswith(f"{path}:1: secret_file: {problem.format(secret)}")


def test_a_secret_file_that_never_ends_is_told(tmp_path: Path) -> None:
    path = tmp_path / "shop.toml"
    path.write_text(SHOP.replace(SECRET, 'secret_file = "/dev/zero"'), encoding="utf-8")
    with pytest.raises(ConfigError, match=f"cannot read '/dev/zero' \\({UNENDING}\\)"):
        load(path)


# --- is it another file now?


@pytest.fixture
def source(tmp_path: Path) -> Source:
    """Loaded, and at rest."""
    path = tmp_path / "shop.toml"
    path.write_text(SHOP, encoding="utf-8")
    found = Source(path)
    found.load()
    assert not found.changed()
    return found


def test_a_file_is_waited_for_while_it_is_being_written(source: Source) -> None:
    source.path.write_text(SHOP + "\n", encoding="utf-8")

    assert [False, True] == [source.changed(), source.changed()]
    source.load()
    assert not source.changed()


def test_a_file_that_never_stands_still_is_not_waited_for_for_ever(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something may touch it at every look."""
    now_s = [0.0]
    monkeypatch.setattr("remainder.sources.file.time.monotonic", lambda: now_s[0])
    answers = []
    for number in range(12):
        os.utime(source.path, ns=(number, number))
        now_s[0] += 0.25
        answers.append(source.changed())
        if answers[-1]:
            source.load()

    assert [4, 9] == [number for number, answer in enumerate(answers) if answer]


def test_a_change_that_keeps_size_time_and_inode_is_seen(source: Source) -> None:
    """As `cp --preserve` of another file of the same size makes it."""
    before = source.path.stat()
    with source.path.open("r+", encoding="utf-8") as file:
        file.write(SHOP.replace("80", "81", 1))
    os.utime(source.path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = source.path.stat()

    assert (before.st_mtime_ns, before.st_size, before.st_ino) == (
        after.st_mtime_ns,
        after.st_size,
        after.st_ino,
    )
    assert [False, True] == [source.changed(), source.changed()]


def test_whether_a_file_was_only_touched_is_known(source: Source) -> None:
    source.load()
    assert source.is_same
    source.path.write_text(SHOP.replace("80", "81", 1), encoding="utf-8")
    source.load()
    assert not source.is_same
