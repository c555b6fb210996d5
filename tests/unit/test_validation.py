"""The rules between the fields of a file; those of services are in test_config.py."""

from __future__ import annotations

import pytest

from remainder.config import Config, Member, Router, Sender, Vrrp
from remainder.errors import ConfigError
from remainder.sources.file import loads
from remainder.validation import validate
from tests.fleets import SUM3, cluster, fleet, return_path, service


def test_a_whole_fleet_is_accepted() -> None:
    validate(fleet())
    validate(Config(cluster=[cluster()]))
    validate(Config(cluster=[cluster(), cluster(name="shared", address="203.0.113.20")]))


@pytest.mark.parametrize(
    ("where", "said", "config"),
    [
        ("", "no [[service]], [[cluster]] or [[return_path]]", Config()),
        (
            "vrrp",
            "needs at least two [[balancer]] sections, found 0",
            Config(service=[service()], vrrp=Vrrp(router_id=1)),
        ),
        (
            "cluster[1].name",
            "duplicate name 'routers'",
            fleet(cluster=[cluster(), cluster(address="203.0.113.20")]),
        ),
        (
            "cluster[1].address",
            "is already the address of cluster 'routers'",
            fleet(cluster=[cluster(), cluster(name="again")]),
        ),
        (
            "cluster[0].address",
            "is the VIP of service 'web'",
            fleet(cluster=[cluster(address="203.0.113.10")]),
        ),
        (
            "cluster[0].mac",
            "a node listens to one cluster MAC",
            fleet(
                cluster=[
                    cluster(),
                    cluster(name="shared", address="203.0.113.20", mac="03:00:00:00:00:01"),
                ]
            ),
        ),
        (
            "cluster[0].members",
            "is on eth0 (auto) here and on eth1 (auto) in cluster 'shared'",
            fleet(
                cluster=[
                    cluster(),
                    cluster(
                        name="shared",
                        address="203.0.113.20",
                        members=[Member(name="r1", interface="eth1")],
                    ),
                ]
            ),
        ),
        (
            "cluster[0].members[1].name",
            "duplicate name 'r1'",
            fleet(cluster=[cluster(members=[Member(name="r1", interface="eth0")] * 2)]),
        ),
        (
            "cluster[0].members",
            "every weight is 0",
            fleet(cluster=[cluster(members=[Member(name="r1", interface="eth0", weight=0)])]),
        ),
        ("cluster[0].slots", "remove slots", fleet(cluster=[cluster(slots=7)])),
        (
            "cluster[0].slots",
            "expected a prime",
            fleet(cluster=[cluster(table="maglev", slots=8)]),
        ),
        (
            "cluster[0].key",
            "needs a secret",
            fleet(cluster=[cluster(key="hash(src_ip)")], secret=None),
        ),
        (
            "cluster[0].fragments",
            "needs a key without ports",
            fleet(cluster=[cluster(fragments="forward")]),
        ),
        (
            "return_path[0].services[0]",
            "unknown service 'wob'; services in this file: web",
            fleet(return_path=[return_path(services=["wob"])]),
        ),
        (
            "return_path[0]",
            "'back' covers no flow, since there is no [[service]]; set others = true",
            Config(return_path=[return_path()]),
        ),
        (
            "return_path[1]",
            "covers no flow",
            Config(
                cluster=[cluster()],
                return_path=[return_path(name="one", others=True), return_path()],
            ),
        ),
        (
            "return_path[0].routers[0].address",
            "is a VIP",
            fleet(return_path=[return_path(routers=[Router(name="r1", address="203.0.113.10")])]),
        ),
        (
            "return_path[0].routers[1].name",
            "duplicate name 'r1'",
            fleet(return_path=[return_path(routers=[Router(name="r1", address="192.0.2.1")] * 2)]),
        ),
        (
            "return_path[0].senders[1].name",
            "duplicate name 's1'",
            fleet(return_path=[return_path(senders=[Sender(name="s1", interface="eth0")] * 2)]),
        ),
    ],
)
def test_a_wrong_fleet_is_refused_at_the_place(where: str, said: str, config: Config) -> None:
    with pytest.raises(ConfigError) as caught:
        validate(config)

    assert where == caught.value.where
    assert said in caught.value.problem


@pytest.mark.parametrize(
    ("changed", "where", "said"),
    [
        ('table   = "ring"', "table", "unknown table 'ring'; expected one of modulo, maglev"),
        ('key     = "src_up"', "key", "unknown field"),
        ('address = "203.0.113.300"', "address", "is not an IP address"),
        ('mac     = "03:00:5e"', "mac", "expected a MAC address"),
    ],
)
def test_a_wrong_word_is_refused_at_its_place_in_the_file_and_by_hand(
    changed: str, where: str, said: str
) -> None:
    key, _, value = changed.partition("=")
    good = {"key": SUM3, "table": "modulo", "address": "any"}
    text = "".join(f'{name} = "{right}"\n' for name, right in good.items() if name != key.strip())
    file = (
        f'[[cluster]]\nname = "c"\n{changed}\n{text}'
        'members = [ { name = "r1", interface = "eth0" } ]\n'
    )
    with pytest.raises(ConfigError) as in_file:
        loads(file, "f.toml")
    with pytest.raises(ConfigError) as by_hand:
        cluster(**{key.strip(): value.strip().strip('"')})

    assert f"f.toml:3: cluster[0].{where} (cluster 'c')" == in_file.value.where
    assert where == by_hand.value.where
    assert said in in_file.value.problem
    assert said in by_hand.value.problem
