"""The JSON schema takes what the program takes, and refuses what one value shows to be wrong."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from remainder.config import (
    Balancer,
    Cluster,
    Config,
    EarlierMember,
    EarlierMembers,
    EarlierServers,
    Member,
    ReturnPath,
    Router,
    Sender,
    Server,
    Service,
    Vrrp,
)
from remainder.errors import ConfigError
from remainder.file_schema import json_schema
from remainder.selection.key import FIELDS, parse_key
from tests.strategies import configs
from tests.written import file_of

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").rglob("*.toml"))
VALIDATOR = Draft202012Validator(json_schema(), format_checker=Draft202012Validator.FORMAT_CHECKER)

SERVER = {"name": "s1", "address": "192.0.2.11"}
SERVICE = {
    "name": "web",
    "vip": "203.0.113.10",
    "port": 80,
    "protocol": "tcp",
    "key": "src_ip + dst_ip + dst_port",
    "table": "modulo",
    "servers": [SERVER],
}
BALANCER = {"name": "lb1", "interface": "eth0"}


def with_service(**changed: object) -> dict[str, Any]:
    """A file with one service, other than the right one in these keys; None takes one away."""
    service = SERVICE | changed
    return {"service": [{key: value for key, value in service.items() if value is not None}]}


def with_server(**changed: object) -> dict[str, Any]:
    return with_service(servers=[SERVER | changed])


def with_balancer(**changed: object) -> dict[str, Any]:
    return {"service": [SERVICE], "balancer": [BALANCER | changed]}


VALID = {
    "the plainest file": with_service(),
    "any port": with_service(port="any"),
    "a protocol without ports": with_service(port="any", protocol="gre"),
    "IPv6": with_service(vip="2001:db8::10", servers=[SERVER | {"address": "2001:db8:1::11"}]),
    "a hash over a Maglev table": with_service(
        key=" hash ( src_ip,dst_port )", table="maglev", slots=251
    ),
    "a modulo table with slots": with_service(slots=7, servers=[SERVER | {"slot": 0}]),
    "a weight": with_server(weight=0),
    "every key of a balancer": with_balancer(mode="native", assign_vips=True),
    "a secret": with_service() | {"secret": "0123456789abcdef" * 2},
    "a file for the secret": with_service() | {"secret_file": "secret"},
}

INVALID = {
    "nothing": {},
    "no services": {"service": []},
    "one table": {"service": SERVICE},
    "unknown key of the file": with_service() | {"services": []},
    "secret and file": with_service() | {"secret": "0" * 32, "secret_file": "secret"},
    "short secret": with_service() | {"secret": "0" * 31},
    "secret of other letters": with_service() | {"secret": "g" * 32},
    "unknown key of a service": with_service(prot="tcp"),
    "no name": with_service(name=None),
    "no key": with_service(key=None),
    "no table": with_service(table=None),
    "name with a space": with_service(name="we b"),
    "long name": with_service(name="x" * 64),
    "vip of no family": with_service(vip="203.0.113.999"),
    "vip as a number": with_service(vip=1),
    "port 0": with_service(port=0),
    "port 65536": with_service(port=65536),
    "port in quotes": with_service(port="80"),
    "port true": with_service(port=True),
    "port of a protocol without ports": with_service(protocol="icmp"),
    "unknown protocol": with_service(protocol="tpc"),
    "unknown table": with_service(table="ring"),
    "unknown method": with_service(method="teleport"),
    "unknown policy": with_service(fragments="hope"),
    "unknown field": with_service(key="src_ip + ttl"),
    "empty key": with_service(key=""),
    "no expression": with_service(key="hash(src_ip) % 4"),
    "slots of modulo": with_service(slots=7),
    "no slots": with_service(table="maglev", slots=0),
    "too many slots": with_service(table="maglev", slots=1_048_577),
    "slots as text": with_service(table="maglev", slots="251"),
    "no servers": with_service(servers=[]),
    "unknown key of a server": with_server(wieght=2),
    "server by name": with_server(address="localhost"),
    "weight below 0": with_server(weight=-1),
    "weight above 255": with_server(weight=256),
    "weight true": with_server(weight=True),
    "unknown mode": with_balancer(mode="fast"),
    "long interface": with_balancer(interface="x" * 16),
    "an interface with a space": with_balancer(interface="eth 0"),
    "an alias as interface": with_balancer(interface="eth0:1"),
    "no interface": with_balancer(interface=""),
    "assign_vips as text": with_balancer(assign_vips="yes"),
    "unknown key of a balancer": with_balancer(iface="eth0"),
}


def test_the_schema_is_one_and_its_root_has_no_id() -> None:
    schema = json_schema()
    Draft202012Validator.check_schema(schema)

    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert "$id" not in schema


@pytest.mark.parametrize("file", VALID.values(), ids=VALID)
def test_a_right_file_is_valid(file: dict[str, Any]) -> None:
    assert [] == [error.message for error in VALIDATOR.iter_errors(file)]


@pytest.mark.parametrize("file", INVALID.values(), ids=INVALID)
def test_a_mistake_is_invalid(file: dict[str, Any]) -> None:
    assert not VALIDATOR.is_valid(file)


def test_every_example_is_valid() -> None:
    for path in EXAMPLES:
        file = tomllib.loads(path.read_text(encoding="utf-8"))

        assert [] == [f"{path}: {error.message}" for error in VALIDATOR.iter_errors(file)]


@given(configs())
def test_every_file_that_the_program_takes_is_valid(config: Config) -> None:
    assert [] == [error.message for error in VALIDATOR.iter_errors(file_of(config))]


def test_every_key_of_the_file_has_a_description() -> None:
    schema = json_schema()
    tables = {"": schema} | schema["$defs"]

    kinds = (
        *(Service, Server, EarlierServers, Balancer, Vrrp, Cluster, Member, EarlierMember),
        *(EarlierMembers, ReturnPath, Router, Sender),
    )
    by_name = {"": Config} | {kind.__name__: kind for kind in kinds}

    assert set(by_name) == set(tables)
    for name, kind in by_name.items():
        properties = tables[name]["properties"]

        assert [field.name for field in msgspec.structs.fields(kind)] == list(properties)
        assert [] == [key for key, field in properties.items() if not field.get("description")]
        assert tables[name]["title"]
        assert tables[name]["description"]


@given(
    st.lists(
        st.sampled_from([*FIELDS, "+", ",", "(", ")", "hash", "hash(", " ", "ttl"]), max_size=9
    ).map("".join)
)
def test_the_schema_takes_a_key_if_the_program_does(text: str) -> None:
    try:
        parse_key(text)
    except ConfigError as error:
        # A pattern does not count: a field that appears twice is left to the program.
        taken = "appears twice" in error.problem
    else:
        taken = True

    assert taken == VALIDATOR.is_valid(with_service(key=text))
