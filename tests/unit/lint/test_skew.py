"""What skew.py says of a formula is what happens: every claim is played with real flows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from math import gcd

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from remainder.choice import choice_of
from remainder.config import Config, Server, Service
from remainder.flow import Address, Flow
from remainder.lint.skew import Skew, skews
from remainder.plan import make_plan

CLAIM_13 = "src_ip + dst_ip + dst_port"
CLAIM_17 = "src_ip + src_port + dst_ip + dst_port + protocol"
SECRET = bytes(range(16)).hex()

VIP: dict[int, Address] = {4: IPv4Address("203.0.113.10"), 6: IPv6Address("2001:db8::10")}
CLIENT: dict[int, Address] = {4: IPv4Address("198.18.0.77"), 6: IPv6Address("2001:db8:2::77")}
FIRST_SERVER: dict[int, Address] = {4: IPv4Address("192.0.2.1"), 6: IPv6Address("2001:db8:1::1")}


def service(
    key: str,
    weights: list[int],
    *,
    version: int = 4,
    table: str = "modulo",
    slots: int | None = None,
    protocol: str = "tcp",
) -> Service:
    return Service(
        name="web",
        vip=str(VIP[version]),
        port=80 if protocol in ("tcp", "udp") else "any",
        protocol=protocol,
        key=key,
        table=table,
        slots=slots,
        servers=[
            Server(name=f"s{number}", address=str(FIRST_SERVER[version] + number), weight=weight)
            for number, weight in enumerate(weights)
        ],
    )


def servers_met(what: Service, flows: Iterable[Flow]) -> int:
    """How many servers some flows meet, all together."""
    plan = make_plan(Config(service=[what], secret=SECRET))
    return len({plan.where(flow).owner for flow in flows})


def to_vip(source: Address, port: int) -> Flow:
    return Flow(source, port, VIP[source.version], 80, 6)


def even_ports(version: int, *, client: int = 0, count: int = 40) -> list[Flow]:
    """One client that opens many sessions, as Linux numbers them."""
    return [to_vip(CLIENT[version] + client, 32768 + 2 * number) for number in range(count)]


def one_per_network(version: int, *, last: int = 0, count: int = 40) -> list[Flow]:
    """Many clients, one per /24 or /64, each with the same address inside."""
    stride = 2**8 if version == 4 else 2**64
    return [to_vip(CLIENT[version] + last + stride * number, 40000) for number in range(count)]


def named(what: Service, name: str) -> Skew | None:
    return next((skew for skew in skews(choice_of(what)) if skew.name == name), None)


equal_weights = st.integers(1, 32).map(lambda count: [1] * count)
any_weights = st.lists(st.integers(0, 4), min_size=1, max_size=6).filter(any)
versions = st.sampled_from([4, 6])
tables = st.sampled_from([("modulo", None), ("maglev", 2), ("maglev", 251), ("maglev", 4093)])


def owners_of(weights: list[int]) -> int:
    return sum(weight > 0 for weight in weights)


@given(equal_weights | any_weights, versions)
def test_one_linux_client_reaches_as_few_servers_as_we_say(
    weights: list[int], version: int
) -> None:
    what = service(CLAIM_17, weights, version=version)
    skew = named(what, "even_ports")
    worst = min(servers_met(what, even_ports(version, client=client)) for client in (0, 1))

    assert worst == (skew.reached if skew else owners_of(weights))


@given(equal_weights | any_weights, versions)
def test_one_client_per_network_reaches_as_few_servers_as_we_say(
    weights: list[int], version: int
) -> None:
    what = service(CLAIM_13, weights, version=version)
    skew = named(what, "one_per_24" if version == 4 else "one_per_64")
    worst = min(servers_met(what, one_per_network(version, last=last)) for last in range(16))

    assert worst == (skew.reached if skew else owners_of(weights))


@given(equal_weights | any_weights, versions)
def test_clients_with_a_fixed_source_port_reach_as_few_servers_as_we_say(
    weights: list[int], version: int
) -> None:
    """The formula reads the port, but it is always the same: NTP, SIP, VPNs."""
    what = service(CLAIM_17, weights, version=version, protocol="udp")
    skew = named(what, "fixed_port_per_24" if version == 4 else "fixed_port_per_64")
    worst = min(
        servers_met(what, [replace(flow, protocol=17) for flow in one_per_network(version, last=n)])
        for n in range(16)
    )

    assert worst == (skew.reached if skew else owners_of(weights))


@given(
    st.sampled_from(["src_port", "src_port + dst_port", "hash(src_port, dst_ip)"]),
    equal_weights,
    versions,
)
def test_a_key_of_ports_alone_sends_all_clients_of_one_port_to_one_server(
    key: str, weights: list[int], version: int
) -> None:
    what = service(key, weights, version=version)

    assert 1 == servers_met(what, one_per_network(version))
    assert (len(weights) > 1) == (named(what, "ports_only") is not None)


@given(any_weights, versions, st.sampled_from([CLAIM_13, CLAIM_17]), st.sampled_from([251, 4093]))
def test_an_odd_prime_number_of_slots_cures_every_stride(
    weights: list[int], version: int, key: str, slots: int
) -> None:
    what = service(key, weights, version=version, table="maglev", slots=slots)

    assert [] == [skew for skew in skews(choice_of(what)) if skew.severity == "warning"]


@pytest.mark.parametrize("version", [4, 6])
def test_the_cure_that_we_advise_reaches_all_servers(version: int) -> None:
    ports, networks = even_ports(version, count=600), one_per_network(version, count=600)
    for what, flows in (
        (service(CLAIM_17, [1] * 16, version=version, table="maglev"), ports),
        (service(CLAIM_13, [1] * 16, version=version, table="maglev"), networks),
        (service("hash(src_ip, src_port)", [1] * 16, version=version), ports),
        (service("hash(src_ip)", [1] * 16, version=version), networks),
    ):
        assert 16 == servers_met(what, flows)
        assert [] == [skew for skew in skews(choice_of(what)) if skew.severity == "warning"]


@given(
    st.sampled_from(["dst_ip", "dst_ip + dst_port", "protocol", "hash(dst_ip, protocol)"]),
    equal_weights,
    tables,
    versions,
)
def test_a_key_without_the_source_sends_all_clients_to_one_server(
    key: str, weights: list[int], table: tuple[str, int | None], version: int
) -> None:
    assume((table[1] or len(weights)) >= len(weights))
    what = service(key, weights, version=version, table=table[0], slots=table[1])

    assert 1 == servers_met(what, even_ports(version) + one_per_network(version))
    assert (len(weights) > 1) == ("source_unread" in {skew.name for skew in skews(choice_of(what))})


@given(st.sampled_from([CLAIM_13, "src_ip", "hash(src_ip, dst_port)"]), equal_weights, versions)
def test_a_key_without_the_source_port_sends_a_client_to_one_server(
    key: str, weights: list[int], version: int
) -> None:
    what = service(key, weights, version=version)

    assert 1 == servers_met(what, even_ports(version))
    assert (len(weights) > 1) == (named(what, "one_client") is not None)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=6).filter(any))
def test_one_more_server_moves_the_share_that_we_say(weights: list[int]) -> None:
    skew = named(service("src_ip", weights), "one_more")
    unit = gcd(*weights)
    before, after = table_of(weights), table_of([*weights, unit])
    keys = range(len(before) * len(after))
    moved = sum(before[key % len(before)] != after[key % len(after)] for key in keys)

    assert skew is not None
    assert f"would move {100 * moved / len(keys):.3g} % of the flows" in skew.sentence


def table_of(weights: list[int]) -> list[int]:
    plan = make_plan(Config(service=[service("src_ip", weights)]))
    return [int(owner) for owner in plan.choices[0].table]


LINUX = "Linux connect() uses even source ports first, so one client can reach only "
PER_24 = "clients in different /24s with the same last byte can reach only "
PER_64 = "clients in different /64s with the same lower 64 bits can reach only "
TWO_OF_FOUR = "source ports 2 apart hit 4 / gcd(4, 2) = 4 / 2 = 2 of 4 slots"
SQUARES = "(sum of the squares of the servers' slots)"
CURE = 'use table = "maglev" with an odd prime number of slots, or a hash, to reach all'


@pytest.mark.parametrize(
    ("what", "sentence", "arithmetic", "advice"),
    [
        (
            service(CLAIM_17, [1] * 4),
            LINUX + "2 of 4 servers",
            TWO_OF_FOUR,
            CURE,
        ),
        (
            service(CLAIM_17, [2, 1, 1], version=6),
            LINUX + "2 of 3 servers",
            f"{TWO_OF_FOUR}, owned by 2 of 3 servers",
            CURE,
        ),
        (
            service(CLAIM_17, [1, 1], table="maglev", slots=2),
            LINUX + "1 of 2 servers",
            "source ports 2 apart hit 2 / gcd(2, 2) = 2 / 2 = 1 of 2 slots",
            CURE,
        ),
        (
            service(CLAIM_13, [1] * 10),
            PER_24 + "5 of 10 servers",
            "addresses 256 apart hit 10 / gcd(10, 256) = 10 / 2 = 5 of 10 slots",
            CURE,
        ),
        (
            service(CLAIM_13, [1] * 16),
            PER_24 + "1 of 16 servers",
            "addresses 256 apart hit 16 / gcd(16, 256) = 16 / 16 = 1 of 16 slots",
            CURE,
        ),
        (
            service(CLAIM_13, [1] * 12, version=6),
            PER_64 + "3 of 12 servers",
            "addresses 2^64 apart hit 12 / gcd(12, 2^64) = 12 / 4 = 3 of 12 slots",
            CURE,
        ),
        (
            service("dst_ip + dst_port", [1, 1]),
            "the key ignores the source, so all clients go to the same server",
            "dst_ip + dst_port is the same for every client",
            "add src_ip to the key",
        ),
        (
            service(CLAIM_17, [1] * 3),
            "one more server would move 75 % of the flows",
            "N / (N + 1) = 3 / 4 = 75 %",
            'with table = "maglev", little more than 25 %',
        ),
        (
            service(CLAIM_17, [4, 8], protocol="udp"),
            "one more server of weight 4 would move 58.3 % of the flows",
            f"1 - {SQUARES} / (N * (N + 1)) = 1 - 5 / (3 * 4) = 58.3 %",
            'with table = "maglev", little more than 25 %',
        ),
        (
            service("src_ip", [1] * 3),
            "all sessions of one client, or of all behind one NAT, go to the same server",
            "src_ip is the same for every source port",
            "add src_port to the key to spread them",
        ),
    ],
)
def test_the_first_skew_is_told_in_words(
    what: Service, sentence: str, arithmetic: str, advice: str
) -> None:
    first = skews(choice_of(what))[0]

    assert (sentence, arithmetic, advice) == (first.sentence, first.arithmetic, first.advice)


@pytest.mark.parametrize(
    ("what", "names"),
    [
        (service(CLAIM_17, [1] * 4), {"even_ports": "warning", "one_more": "note"}),
        (service(CLAIM_17, [1] * 3), {"one_more": "note"}),
        (service(CLAIM_17, [1] * 3, protocol="udp"), {"one_more": "note"}),
        (
            service(CLAIM_17, [1] * 4, protocol="udp"),
            {"fixed_port_per_24": "warning", "one_more": "note"},
        ),
        (
            service(CLAIM_17, [1] * 4, protocol="any"),
            {"even_ports": "warning", "fixed_port_per_24": "warning", "one_more": "note"},
        ),
        (
            service(CLAIM_17, [1] * 4, protocol="udp", version=6),
            {"fixed_port_per_64": "warning", "one_more": "note"},
        ),
        (
            service("src_port + dst_port", [1] * 4),
            {"even_ports": "warning", "ports_only": "warning", "one_more": "note"},
        ),
        (service("hash(src_port)", [1] * 4, table="maglev"), {"ports_only": "warning"}),
        (service("hash(src_port, src_ip)", [1] * 4, table="maglev", protocol="udp"), {}),
        (service(CLAIM_17, [1] * 3, protocol="gre"), {"one_client": "note", "one_more": "note"}),
        (service("src_port", [1] * 3, protocol="gre"), {"source_unread": "warning"}),
        (
            service(CLAIM_13, [1] * 4),
            {"one_per_24": "warning", "one_client": "note", "one_more": "note"},
        ),
        (service(CLAIM_17, [1] * 4, table="maglev"), {}),
        (service(CLAIM_13, [1] * 4, table="maglev"), {"one_client": "note"}),
        (service("hash(src_ip, src_port)", [1] * 4, table="maglev"), {}),
        (service(CLAIM_13, [1]), {"one_more": "note"}),
        (service("dst_ip", [1, 0], table="maglev"), {}),
    ],
)
def test_a_service_has_these_skews_and_no_others(what: Service, names: dict[str, str]) -> None:
    assert names == {skew.name: skew.severity for skew in skews(choice_of(what))}
