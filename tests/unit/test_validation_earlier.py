# ruff: noqa: E501 (a sentence stands on one line, as its reader sees it)
"""Earlier calculations are refused where they cannot be planned, or no server could ask them."""

from __future__ import annotations

from typing import Any

import pytest

from remainder.config import (
    MAX_EARLIER,
    Cluster,
    Config,
    EarlierMember,
    EarlierMembers,
    EarlierServers,
    Server,
)
from remainder.errors import ConfigError
from remainder.sources.file import loads
from remainder.validation import validate
from tests.fleets import SUM3, changing, cluster, servers, service


def earlier(**changed: Any) -> EarlierServers:
    return EarlierServers(
        **{"key": SUM3, "table": "modulo", "servers": servers("s1", "s2")} | changed
    )


def member_before(**changed: Any) -> Cluster:
    before = EarlierMembers(
        **{"key": SUM3, "table": "modulo", "members": [EarlierMember(name="r1")]} | changed
    )
    return cluster(address="203.0.113.20", before=[before])


def test_a_service_may_have_earlier_calculations() -> None:
    validate(Config(service=[changing()]))
    validate(Config(service=[changing(before=[earlier()] * MAX_EARLIER)]))
    validate(Config(service=[changing(protocol="any", port="any")]))


@pytest.mark.parametrize(
    ("where", "said", "config"),
    [
        (
            "service[0].before",
            "servers recognise no session of udp",
            Config(service=[changing(protocol="udp")]),
        ),
        (
            "service[0].before[0].servers",
            "every weight is 0",
            Config(service=[changing(before=[earlier(servers=servers("s1", weight=0))])]),
        ),
        (
            "service[0].before[0].slots",
            "expected a prime",
            Config(service=[changing(before=[earlier(table="maglev", slots=4)])]),
        ),
        (
            "service[0].before[1].key",
            "is a hash and needs a secret",
            Config(service=[changing(before=[earlier(), earlier(key="hash(src_ip)")])]),
        ),
        (
            "service[0].before[0].servers[0].address",
            "203.0.113.10 is a VIP",
            Config(
                service=[
                    changing(before=[earlier(servers=[Server(name="s1", address="203.0.113.10")])])
                ]
            ),
        ),
        (
            "service[0].before[0].servers[0].address",
            "server 's1' is 192.0.2.99 here and 192.0.2.11 in service[0].servers[0]",
            Config(
                service=[
                    changing(before=[earlier(servers=[Server(name="s1", address="192.0.2.99")])])
                ]
            ),
        ),
        (
            "service[0].before[0].servers[0].name",
            "192.0.2.11 is server 'other' here and 's1' in service[0].servers[0]",
            Config(
                service=[
                    changing(before=[earlier(servers=[Server(name="other", address="192.0.2.11")])])
                ]
            ),
        ),
        (
            "service[0].before[0].servers[0].interface",
            "'s1' is on eth1 (auto) here and on eth0 (auto) in service[0].servers[0]",
            Config(
                service=[changing(before=[earlier(servers=servers("s1", interface="eth1"))])],
            ),
        ),
        (
            "service[0].servers[0].mode",
            "the server names no interface",
            Config(service=[service(servers=servers("s1", interface=None, mode="native"))]),
        ),
        (
            "cluster[0].before",
            "which have no sockets to recognise a session by",
            Config(
                cluster=[
                    cluster(
                        before=[
                            EarlierMembers(
                                key=SUM3, table="modulo", members=[EarlierMember(name="r1")]
                            )
                        ]
                    )
                ]
            ),
        ),
        (
            "cluster[0].before",
            "not supported for clusters yet",
            Config(cluster=[member_before()]),
        ),
        (
            "cluster[0].before[0].members",
            "every weight is 0",
            Config(cluster=[member_before(members=[EarlierMember(name="r1", weight=0)])]),
        ),
    ],
)
def test_a_mistake_is_refused_with_its_place(where: str, said: str, config: Config) -> None:
    with pytest.raises(ConfigError) as refused:
        validate(config)

    assert where == refused.value.where
    assert said in refused.value.problem


def test_a_service_may_lie_in_two_with_a_server_on_one_interface() -> None:
    """A node has one place, whatever the service."""
    validate(Config(service=[service(servers=servers("s1")), changing(name="b", port=81)]))
    with pytest.raises(ConfigError, match="is on eth0"):
        validate(
            Config(
                service=[
                    service(servers=servers("s1", interface="eth1")),
                    changing(name="b", port=81),
                ]
            )
        )


FILE = """\
[[service]]
name     = "web"
vip      = "203.0.113.10"
port     = 80
protocol = "tcp"
key      = "src_ip + dst_ip + dst_port"
table    = "modulo"
servers  = [ { name = "s1", address = "192.0.2.11" }, { name = "s2", address = "192.0.2.12" } ]
"""
BEFORE = """
[[service.before]]
key      = "src_ip + dst_ip"
table    = "modulo"
servers  = [ { name = "s1", address = "192.0.2.11" } ]
"""


def test_a_file_names_the_newest_first() -> None:
    (read,) = loads(FILE + BEFORE + BEFORE.replace("src_ip + dst_ip", "src_ip")).service

    assert ["src_ip + dst_ip", "src_ip"] == [str(item.key) for item in read.before]


MISTAKES = [
    (
        FILE + BEFORE * (MAX_EARLIER + 1),
        "f.toml:10: service[0].before (service 'web'): before is a list of 5; expected at most 4 [[service.before]] sections, in double brackets",
    ),
    (
        FILE + BEFORE.replace("key ", "keys"),
        "f.toml:11: service[0].before[0].keys (service 'web'): unknown key (did you mean 'key'?); a [[service.before]] can have key, table, servers, slots",
    ),
    (
        FILE + BEFORE.replace('"modulo"', '"modullo"'),
        "f.toml:12: service[0].before[0].table (service 'web'): unknown table 'modullo' (did you mean 'modulo'?); expected one of modulo, maglev, rendezvous",
    ),
]


@pytest.mark.parametrize(("text", "sentence"), MISTAKES)
def test_a_mistake_in_a_file_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as refused:
        loads(text, name="f.toml")

    assert sentence == str(refused.value)
