"""The known answers in tests/vectors, which other implementations can use too, hold here."""

from __future__ import annotations

import json
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import msgspec
import pytest

from remainder.config import Config
from remainder.flow import Flow
from remainder.plan import make_plan
from remainder.selection import ALGORITHMS
from remainder.selection.key import parse_key
from remainder.selection.maglev import permutation
from remainder.selection.salt import salted
from remainder.selection.siphash import siphash13
from remainder.values import decoded

FOLDER = Path(__file__).parents[1] / "vectors"
FILES = ("siphash13", "salts", "keys", "tables", "decisions")

Vector = dict[str, Any]


def vectors(name: str) -> list[Vector]:
    document = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return list(document["vectors"])


def flow_of(vector: Vector) -> Flow:
    return Flow(
        ip_address(vector["src_ip"]),
        vector["src_port"],
        ip_address(vector["dst_ip"]),
        vector["dst_port"],
        vector["protocol"],
    )


def secret_of(vector: Vector) -> bytes | None:
    return bytes.fromhex(vector["secret"]) if "secret" in vector else None


def test_every_file_of_vectors_is_run() -> None:
    assert set(FILES) == {path.stem for path in FOLDER.glob("*.json")}


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_vectors_says_its_version_and_where_the_answers_come_from(name: str) -> None:
    document = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))

    assert ["version", "about", "sources", "vectors"] == list(document)
    assert document["version"] == 1


@pytest.mark.parametrize("vector", vectors("siphash13"), ids=lambda vector: vector["source"])
def test_siphash_gives_the_known_hash(vector: Vector) -> None:
    actual = siphash13(bytes.fromhex(vector["secret"]), bytes.fromhex(vector["message"]))

    assert int(vector["hash"]) == actual


@pytest.mark.parametrize("vector", vectors("salts"), ids=lambda vector: vector["salt"])
def test_a_tier_hashes_with_the_known_secret(vector: Vector) -> None:
    secret = bytes.fromhex(vector["secret"])

    assert bytes.fromhex(vector["salted"]) == salted(secret, vector["salt"])


@pytest.mark.parametrize("vector", vectors("keys"), ids=lambda vector: vector["expression"])
def test_an_expression_gives_the_known_key(vector: Vector) -> None:
    key, flow = parse_key(vector["expression"]), flow_of(vector["flow"])

    assert int(vector["key"]) == key.number(flow, secret_of(vector))
    assert ("message" in vector) == key.hashed
    if key.hashed:
        assert bytes.fromhex(vector["message"]) == key.message(flow)


@pytest.mark.parametrize("vector", vectors("tables"), ids=lambda vector: vector["table"])
def test_owners_and_weights_give_the_known_table(vector: Vector) -> None:
    algorithm = ALGORITHMS[vector["table"]]

    owners = algorithm(vector["weights"], vector["names"], vector["slots"], vector.get("homes"))

    assert vector["owners"] == owners.tolist()
    for name, wanted in zip(vector["names"], vector.get("permutations", ()), strict=False):
        assert (wanted["offset"], wanted["skip"]) == permutation(name, vector["slots"])


@pytest.mark.parametrize(
    "vector", vectors("decisions"), ids=lambda vector: f"claim-{vector['claim']}"
)
def test_a_file_and_a_flow_give_the_known_server(vector: Vector) -> None:
    plan = make_plan(msgspec.convert(vector["config"], Config, dec_hook=decoded))

    for wanted in vector["decisions"]:
        decision = plan.where(flow_of(wanted["flow"]))

        assert ("forwarded", vector["service"], vector["slots"]) == (
            decision.outcome,
            decision.choice,
            decision.slots,
        )
        assert (int(wanted["key"]), wanted["slot"], wanted["server"]) == (
            decision.key,
            decision.slot,
            decision.owner,
        )
