"""What a file may say: each rule that no single field shows, and what the values know.

The sentences a user sees are in sources/test_file.py.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from msgspec import ValidationError, convert
from msgspec.structs import asdict, replace

from remainder.config import (
    MAX_SLOTS,
    MAX_SLOTS_IN_FILE,
    Balancer,
    Config,
    Server,
    Service,
)
from remainder.errors import ConfigError
from remainder.plan import make_plan
from remainder.selection import slots_of
from remainder.selection.key import parse_key
from remainder.validation import validate
from remainder.values import decoded
from tests.strategies import configs

S1 = Server(name="s1", address="192.0.2.11")
S2 = Server(name="s2", address="192.0.2.12")
S3 = Server(name="s3", address="192.0.2.13")
V6 = Server(name="v6", address="2001:db8:1::11")

WEB = Service(
    name="web",
    vip="203.0.113.10",
    port=80,
    protocol="tcp",
    key="src_ip + dst_ip + dst_port",
    table="modulo",
    servers=[S1, S2],
)
HASH = replace(WEB, name="hash", port=81, key="hash(src_ip)")
MAGLEV = replace(WEB, name="maglev", port=82, table="maglev")
ANY_TCP = replace(WEB, name="any-tcp", port="any", key="src_ip + dst_ip")
ANY_UDP = replace(ANY_TCP, name="any-udp", protocol="udp")
ANY = replace(ANY_TCP, name="any", protocol="any")
ANY_V6 = replace(ANY, name="any-v6", vip="2001:db8::10", servers=[V6])
SECRET = "0123456789abcdef" * 2
LARGEST_PRIME = 1_048_573

ACCEPTED: list[tuple[str, Config]] = [
    ("one service", Config(service=[WEB])),
    ("two ports of one VIP", Config(service=[WEB, MAGLEV])),
    ("one port, two protocols", Config(service=[WEB, replace(WEB, name="udp", protocol="udp")])),
    ("a port and any", Config(service=[WEB, ANY_TCP, ANY])),
    ("one server for two services", Config(service=[WEB, replace(MAGLEV, servers=[S1])])),
    ("IPv4 and IPv6 services", Config(service=[ANY, ANY_V6])),
    ("a hash with a secret", Config(service=[HASH], secret=SECRET)),
    ("a secret that nobody needs", Config(service=[WEB], secret=SECRET.upper())),
    ("icmp on IPv4", Config(service=[replace(ANY, protocol="icmp")])),
    ("icmpv6 on IPv6", Config(service=[replace(ANY_V6, protocol="icmpv6")])),
    ("one server of weight 0", Config(service=[replace(WEB, servers=[S1, replace(S2, weight=0)])])),
    ("two slots for two servers", Config(service=[replace(MAGLEV, slots=2)])),
    ("the largest table", Config(service=[replace(MAGLEV, slots=LARGEST_PRIME)])),
    ("forward for any port", Config(service=[replace(ANY_TCP, fragments="forward")])),
    (
        "forward beside a port of another protocol",
        Config(service=[replace(ANY_UDP, fragments="forward"), WEB]),
    ),
    (
        "forward beside a broader service",
        Config(service=[replace(ANY_TCP, fragments="forward"), ANY]),
    ),
    (
        "forward beside a service for one protocol, which a fragment shows",
        Config(service=[replace(ANY, fragments="forward"), ANY_TCP]),
    ),
    (
        "forward beside a port of another VIP",
        Config(service=[replace(ANY, fragments="forward"), replace(WEB, vip="203.0.113.11")]),
    ),
]

REFUSED: list[tuple[str, Config]] = [
    ("service[1].name", Config(service=[WEB, replace(MAGLEV, name="web")])),
    ("service[1]", Config(service=[WEB, replace(WEB, name="twin")])),
    ("service[1]", Config(service=[ANY, replace(ANY, name="twin")])),
    ("service[1].key", Config(service=[WEB, HASH])),
    ("service[0].port", Config(service=[replace(WEB, protocol="icmp")])),
    ("service[0].port", Config(service=[replace(WEB, protocol="gre")])),
    ("service[0].protocol", Config(service=[replace(ANY, protocol="icmpv6")])),
    ("service[0].protocol", Config(service=[replace(ANY_V6, protocol="icmp")])),
    ("service[0].slots", Config(service=[replace(WEB, slots=2)])),
    ("service[0].slots", Config(service=[replace(MAGLEV, slots=1)])),
    ("service[0].slots", Config(service=[replace(MAGLEV, slots=256)])),
    ("service[0].slots", Config(service=[replace(MAGLEV, slots=2, servers=[S1, S2, S3])])),
    (
        "service[0].servers",
        Config(
            service=[
                replace(
                    WEB,
                    servers=[
                        Server(
                            name=f"s{n}",
                            address=f"10.0.{n // 200}.{n % 200 + 1}",
                            weight=255 - n % 2,
                        )
                        for n in range(5000)
                    ],
                )
            ]
        ),
    ),
    (
        "service",
        Config(
            service=[
                replace(MAGLEV, name=f"m{port}", port=port, slots=LARGEST_PRIME)
                for port in range(1, MAX_SLOTS_IN_FILE // LARGEST_PRIME + 2)
            ]
        ),
    ),
    (
        "service[0].servers[1].name",
        Config(service=[replace(WEB, servers=[S1, replace(S2, name="s1")])]),
    ),
    (
        "service[0].servers[1].address",
        Config(service=[replace(WEB, servers=[S1, replace(S2, address=S1.address)])]),
    ),
    (
        "service[0].servers[1].address",
        Config(
            service=[
                replace(ANY_V6, servers=[V6, Server(name="s", address="2001:0db8:0001:0::0011")])
            ]
        ),
    ),
    ("service[0].servers[1].address", Config(service=[replace(WEB, servers=[S1, V6])])),
    (
        "service[0].servers[0].address",
        Config(service=[WEB, replace(WEB, name="w2", vip=S1.address, servers=[S2])]),
    ),
    ("service[0].servers", Config(service=[replace(WEB, servers=[replace(S1, weight=0)])])),
    ("service[0].fragments", Config(service=[replace(WEB, fragments="forward")])),
    (
        "service[0].fragments",
        Config(service=[replace(ANY, key="src_ip + src_port", fragments="forward")]),
    ),
    (
        "service[0].fragments",
        Config(service=[replace(ANY, key="hash(dst_port)", fragments="forward")], secret=SECRET),
    ),
    ("service[0].fragments", Config(service=[replace(ANY_TCP, fragments="forward"), WEB])),
    ("service[0].fragments", Config(service=[replace(ANY, fragments="forward"), WEB])),
    (
        "service[1].fragments",
        Config(service=[replace(WEB, protocol="any"), replace(ANY_UDP, fragments="forward")]),
    ),
    (
        "balancer[1].name",
        Config(service=[WEB], balancer=[Balancer(name="lb", interface=i) for i in ("e0", "e1")]),
    ),
]


@pytest.mark.parametrize(("config"), [pytest.param(config, id=what) for what, config in ACCEPTED])
def test_a_right_file_is_accepted(config: Config) -> None:
    validate(config)


@pytest.mark.parametrize(("where", "config"), REFUSED, ids=[where for where, _ in REFUSED])
def test_a_wrong_file_is_refused_at_the_place(where: str, config: Config) -> None:
    with pytest.raises(ConfigError) as caught:
        validate(config)

    assert where == caught.value.where
    assert "\n" not in caught.value.problem


@pytest.mark.parametrize(
    ("where", "changed"),
    [
        ("protocol", {"protocol": "tpc"}),
        ("protocol", {"protocol": 256}),
        ("protocol", {"protocol": ["tcp"]}),
        ("port", {"port": 0}),
        ("port", {"port": 65536}),
        ("port", {"port": "80"}),
        ("port", {"port": 80.0}),
        ("table", {"table": "ring"}),
        ("table", {"table": None}),
        ("method", {"method": "teleport"}),
        ("key", {"key": "src_ip + ttl"}),
        ("key", {"key": 7}),
        ("vip", {"vip": 7}),
        ("vip", {"vip": ip_address("224.0.0.1")}),
        ("vip", {"vip": ip_address("::ffff:203.0.113.10")}),
    ],
)
def test_what_is_made_by_hand_is_refused_at_its_field(where: str, changed: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        replace(WEB, **changed)

    assert where == caught.value.where
    assert "\n" not in caught.value.problem


def test_something_else_than_a_secret_is_not_told() -> None:
    secret: Any = [SECRET]
    with pytest.raises(ConfigError) as caught:
        Config(service=[HASH], secret=secret)

    assert "secret: secret is not text; expected 32 hexadecimal digits" == str(caught.value)


@pytest.mark.parametrize(
    "secret", ["", SECRET[1:], SECRET + "0", SECRET[1:] + "g", SECRET + "\n", bytes(15)]
)
def test_a_wrong_secret_is_refused_at_its_place(secret: str | bytes) -> None:
    with pytest.raises(ConfigError) as caught:
        Config(service=[HASH], secret=secret)

    assert "secret" == caught.value.where


def test_values_may_be_given_as_text_or_as_what_they_are() -> None:
    values = Service(
        name="web",
        vip=ip_address("203.0.113.10"),
        port=80,
        protocol=6,
        key=parse_key("src_ip + dst_ip + dst_port"),
        table="modulo",
        servers=[Server(name="s1", address=ip_address("192.0.2.11")), S2],
    )

    assert values == WEB
    assert Config(service=[WEB], secret=bytes.fromhex(SECRET)) == Config(
        service=[WEB], secret=SECRET
    )


def test_any_is_none() -> None:
    assert (None, None) == (ANY.port, ANY.protocol)
    assert ANY == replace(ANY, port=None, protocol=None)


def test_the_rules_are_looked_at_once_and_again_after_a_change() -> None:
    config = Config(service=[WEB])
    validate(config)
    config.service.append(WEB)  # a second look would find the name taken
    validate(config)

    with pytest.raises(ConfigError, match="duplicate name 'web'"):
        validate(replace(config))


def test_a_wrong_secret_is_not_told() -> None:
    with pytest.raises(ConfigError) as caught:
        Config(service=[HASH], secret=SECRET[:10])

    assert SECRET[:10] not in str(caught.value)


ADDRESSES_OF_NO_MACHINE = [
    "",
    "localhost",
    "192.0.2.300",
    "192.0.2.011",
    "192.0.2.11/24",
    "192.0.2.11:80",
    "0.0.0.0",
    "127.0.0.1",
    "224.0.0.1",
    "239.255.255.255",
    "255.255.255.255",
    "::",
    "::1",
    "ff02::1",
    "ff02::1%eth0",
    "fe80::1%eth0",
    "::ffff:192.0.2.11",
    "[2001:db8::1]",
]


@pytest.mark.parametrize("text", ADDRESSES_OF_NO_MACHINE)
def test_an_address_that_no_machine_can_have_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^address: "):
        Server(name="s", address=text)
    with pytest.raises(ValueError, match=r"^vip: "):
        Service(**asdict(WEB) | {"vip": text})


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("web", True),
        ("7", True),
        ("a.b_c-D", True),
        ("x" * 63, True),
        ("x" * 64, False),
        ("", False),
        ("-web", False),
        ("we b", False),
        ("web\n", False),
        ("wéb", False),
    ],
)
def test_a_name_is_of_letters_digits_and_three_marks(name: str, good: bool) -> None:  # noqa: FBT001
    raw = {"name": name, "address": "192.0.2.11"}
    if good:
        assert name == convert(raw, Server, dec_hook=decoded).name
    else:
        with pytest.raises(ValidationError):
            convert(raw, Server, dec_hook=decoded)


@given(configs())
def test_a_table_has_the_slots_that_the_limits_counted(config: Config) -> None:
    plan = make_plan(config)

    assert [_slots(service) for service in config.service] == [
        planned.slots for planned in plan.choices
    ]


def test_equal_weights_need_no_more_slots_than_servers() -> None:
    servers = [
        Server(name=f"s{number}", address=f"10.0.{number // 200}.{number % 200 + 1}", weight=255)
        for number in range(5000)
    ]
    service = replace(WEB, servers=servers)
    validate(Config(service=[service]))

    assert 5000 == _slots(service) < MAX_SLOTS < 5000 * 255


def _slots(service: Service) -> int:
    return slots_of(service.table, [server.weight for server in service.servers], service.slots)


@pytest.mark.parametrize(
    ("service", "values"),
    [
        (WEB, (ip_address("203.0.113.10"), 80, 6)),
        (ANY, (ip_address("203.0.113.10"), None, None)),
        (ANY_V6, (ip_address("2001:db8::10"), None, None)),
        (ANY_UDP, (ip_address("203.0.113.10"), None, 17)),
    ],
)
def test_a_service_knows_its_packets_as_values(service: Service, values: tuple[Any, ...]) -> None:
    assert values == (service.vip, service.port, service.protocol)


def test_the_secret_is_16_bytes_or_none() -> None:
    assert bytes.fromhex(SECRET) == Config(service=[WEB], secret=SECRET).secret
    assert Config(service=[WEB]).secret is None


def test_a_node_finds_its_section_by_its_name() -> None:
    lb1, lb2 = (Balancer(name=name, interface="eth0") for name in ("lb1", "lb2"))
    config = Config(service=[WEB], balancer=[lb1, lb2])

    assert lb2 == config.balancer_named("lb2")


def test_a_file_without_balancer_sections_is_for_every_node() -> None:
    assert Config(service=[WEB]).balancer_named("whoever") is None


def test_an_unknown_node_is_told_which_names_there_are() -> None:
    config = Config(
        service=[WEB], balancer=[Balancer(name=name, interface="eth0") for name in ("lb1", "lb2")]
    )
    with pytest.raises(ConfigError) as caught:
        config.balancer_named("lb3")

    assert (
        "balancer: no balancer named 'lb3' in the file, only lb1, lb2; choose with --node"
        == str(caught.value)
    )
