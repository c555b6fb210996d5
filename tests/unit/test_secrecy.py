"""A fingerprint does not help to guess a secret, and what is no secret is refused."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from remainder.cli import group
from remainder.cli.run import _Exposure
from remainder.config import Config
from remainder.errors import ConfigError
from remainder.plan import Plan, _canonical, make_plan
from remainder.roles.node import RunningNode
from remainder.secrecy import SAMPLES, fingerprint_of, stretched, weakness
from remainder.sources.file import Source, exposed, load, loads
from tests.docs.pages import EXAMPLES, PAGES, text_of
from tests.fleets import service
from tests.unit.sources.mistakes import SHOP

STRONG = "8f1d0c5ab3e27946d1f0a86e35bc9247"


def hashed(secret: str) -> Plan:
    return make_plan(Config(service=[service(key="hash(src_ip)")], secret=secret))


def test_a_fingerprint_of_tables_is_not_one_hash_over_the_secret() -> None:
    """Such a one could be tried billions of times a second by whoever sees ``status``."""
    plan = hashed(STRONG)
    tables = b"".join(map(_canonical, plan.choices))
    guesses = (f"secret {STRONG}\n".encode(), bytes.fromhex(STRONG), STRONG.encode(), b"")

    assert plan.fingerprint not in {hashlib.sha256(guess + tables).hexdigest() for guess in guesses}
    assert hashed(STRONG).fingerprint == plan.fingerprint
    assert hashed(STRONG[::-1]).fingerprint != plan.fingerprint


def test_a_trial_of_a_secret_takes_long_and_equal_secrets_are_stretched_alike() -> None:
    stretched.cache_clear()
    before_s = time.process_time()
    one = stretched(bytes(range(16)))
    took_s = time.process_time() - before_s

    assert took_s > 0.01
    assert one == stretched(bytes(range(16)))
    assert one != stretched(bytes(range(1, 17)))


def test_a_fingerprint_of_a_file_with_the_secret_in_it_is_keyed(tmp_path: Path) -> None:
    """Whoever knows all of the file but the secret would otherwise try secrets quickly."""
    path = tmp_path / "r.toml"
    path.write_text(SHOP)
    inside = Source(path)
    inside.load()
    (tmp_path / "secret").write_text(STRONG)
    (first,) = [line for line in SHOP.splitlines() if line.startswith("secret")]
    path.write_text(SHOP.replace(first, 'secret_file = "secret"'))
    beside = Source(path)
    beside.load()

    assert hashlib.sha256(SHOP.encode()).hexdigest() != inside.fingerprint
    assert fingerprint_of(SHOP.encode(), load_secret(first)) == inside.fingerprint
    assert hashlib.sha256(path.read_bytes()).hexdigest() == beside.fingerprint


def load_secret(line: str) -> bytes:
    return bytes.fromhex(line.split('"')[1])


GUESSABLE = {
    "00" * 16: "is all zeros",
    "5A" * 16: "repeats itself",
    "abcd" * 8: "repeats itself",
    "0123456789abcdef" * 2: "repeats itself",
    "000102030405060708090a0b0c0d0e0f": "is a plain row of numbers",
    "ffeeddccbbaa99887766554433221100": "is a plain row of numbers",
    "0" * 31 + "1": "has only 2 different bytes",
    "5ca1ab1e0ddba11c0ffee0ddba11ca75": "is one that is printed in a manual",
    "2B7E151628AED2A6ABF7158809CF4F3C": "is one that is printed in a manual",
}


@pytest.mark.parametrize(("secret", "why"), GUESSABLE.items())
def test_a_secret_that_anybody_could_guess_is_refused_wherever_it_stands(
    tmp_path: Path, secret: str, why: str
) -> None:
    (tmp_path / "secret").write_text(secret)
    path = tmp_path / "r.toml"
    for text, place in (
        (SHOP.replace(STRONG, secret), "secret: "),
        (SHOP.replace(f'secret = "{STRONG}"', 'secret_file = "secret"'), "secret_file: "),
    ):
        path.write_text(text)
        with pytest.raises(ConfigError) as refused:
            load(path)
        sentence = str(refused.value)

        assert sentence.startswith(f"{path}:1: {place}")
        assert f"secret {why}, so anybody can guess it; generate one" in sentence
        assert secret not in sentence


@given(st.binary(min_size=16, max_size=16))
def test_what_is_refused_has_a_reason_that_does_not_repeat_it(secret: bytes) -> None:
    why = weakness(secret)

    assert why is None or secret.hex() not in why
    assert why is not None or len(set(secret)) >= 8


def test_a_random_secret_is_never_refused() -> None:
    assert [] == [
        made for made in (secrets.token_bytes(16) for _ in range(10_000)) if weakness(made)
    ]


def test_the_manual_prints_no_secret_that_would_be_taken() -> None:
    """Or somebody would copy it."""
    texts = [*map(text_of, PAGES), *(path.read_text() for path in EXAMPLES.glob("*.*"))]
    printed = {found for text in texts for found in re.findall(r"\b[0-9A-Fa-f]{32}\b", text)}

    assert [] == [found for found in printed if weakness(bytes.fromhex(found)) is None]
    assert all(re.fullmatch("[0-9a-f]{32}", sample) for sample in SAMPLES)
    assert loads(SHOP).secret is not None


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Where every user may look, as in /etc; pytest's own folders are private."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def written(folder: Path, *, beside: bool, mode: int) -> tuple[Path, Path]:
    """(file, the file that its secret stands in)"""
    path, secret = folder / "r.toml", folder / "secret"
    secret.write_text(STRONG)
    text = SHOP.replace(f'secret = "{STRONG}"', 'secret_file = "secret"') if beside else SHOP
    path.write_text(text)
    path.chmod(0o644 if beside else mode)
    secret.chmod(mode)
    return path, secret if beside else path


@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.parametrize("mode", [0o644, 0o604])
def test_a_secret_that_everybody_can_read_is_warned_of(
    open_folder: Path, mode: int, *, beside: bool
) -> None:
    path, place = written(open_folder, beside=beside, mode=mode)
    source = Source(path)
    source.load()

    assert (
        f"every user of this host can read the secret in {place} (mode {mode:04o}); "
        f"run: chmod o-r {place}"
    ) == source.exposed
    checked = CliRunner().invoke(group, ["check", "--no-host", str(path)])
    as_json = CliRunner().invoke(group, ["check", "--no-host", str(path), "--json"])

    assert f"  warning: {source.exposed}" in checked.output.splitlines()
    assert [source.exposed] == json.loads(as_json.output)["warnings"]
    assert (0, 0) == (checked.exit_code, as_json.exit_code)


@pytest.mark.parametrize("beside", [True, False])
def test_a_secret_that_others_cannot_read_is_not_warned_of(
    open_folder: Path, *, beside: bool
) -> None:
    path, _ = written(open_folder, beside=beside, mode=0o640)

    assert exposed(path, load(path)) is None
    assert (
        "can read the secret"
        not in CliRunner().invoke(group, ["check", "--no-host", str(path)]).output
    )


def test_a_secret_in_a_folder_that_others_cannot_enter_is_not_warned_of(open_folder: Path) -> None:
    path, _ = written(open_folder, beside=True, mode=0o644)
    open_folder.chmod(0o750)

    assert exposed(path, load(path)) is None


def test_a_file_without_a_secret_may_be_read_by_all(open_folder: Path) -> None:
    path = open_folder / "r.toml"
    path.write_text((EXAMPLES / "web.toml").read_text())
    path.chmod(0o644)

    assert exposed(path, load(path)) is None


def test_a_running_node_warns_once_of_each_way_that_a_secret_is_exposed(
    open_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, place = written(open_folder, beside=True, mode=0o644)
    source = Source(path)
    running = SimpleNamespace(source=source)
    exposure = _Exposure(cast(RunningNode, running))
    for mode in (0o644, 0o644, 0o640, 0o646):
        place.chmod(mode)
        source.load()
        exposure.look()
    warned = capsys.readouterr().err.splitlines()

    assert ["0644", "0646"] == [line.partition("(mode ")[2][:4] for line in warned]
    assert all(line.endswith("[secret-exposed]") for line in warned)
