"""A fingerprint does not help to guess a secret, and what is no secret is refused."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

from remainder.config import Config
from remainder.plan import Plan, _canonical, make_plan
from remainder.secrecy import fingerprint_of, stretched
from remainder.sources.file import Source
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
