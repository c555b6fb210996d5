"""Tiers with hashed keys are independent of each other, where they have to be."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from remainder.config import Config
from remainder.fleet import member_plan, return_plan
from remainder.flow import Address, Flow
from remainder.plan import make_plan
from remainder.selection.salt import SECRET_BYTES, salted
from tests.fleets import cluster, fleet, return_path, service
from tests.strategies import addresses

SECRET = bytes(range(SECRET_BYTES))
HASH = "hash(src_ip, src_port)"


def hashed() -> Config:
    """Two routers, two servers, and one key for all of them."""
    routers = cluster(key=HASH)
    return fleet(
        service=[service(key=HASH)],
        cluster=[cluster(key=HASH, members=list(routers.members[:2]))],
        return_path=[return_path(key=HASH, routers=list(return_path().routers[:2]))],
    )


def test_without_a_secret_there_is_nothing_to_salt() -> None:
    assert None is salted(None, "services")


def test_each_tier_has_a_secret_of_its_own_that_is_not_that_of_the_file() -> None:
    secrets = {SECRET, salted(SECRET, "services"), salted(SECRET, "routers")}

    assert 3 == len(secrets)
    assert {SECRET_BYTES} == {len(secret) for secret in secrets if secret}


def test_every_router_sends_to_every_server_alike() -> None:
    """Equal keys and two slots in both tiers: with one secret each router would use one server."""
    config = hashed()
    routers, servers = member_plan(config, config.cluster), make_plan(config)
    met = Counter(
        (routers.where(flow).owner, servers.where(flow).owner)
        for port in range(1024, 5024)
        for flow in [Flow("198.51.100.7", port, "203.0.113.10", 80, 6)]
    )

    assert {(router, server) for router in ("r1", "r2") for server in ("s1", "s2")} == set(met)
    assert all(900 < count < 1100 for count in met.values()), met


@given(addresses(4), st.integers(0, 65_535))
def test_a_cluster_and_its_return_path_name_the_same_router(client: Address, port: int) -> None:
    config = hashed()
    in_, back = member_plan(config, config.cluster), return_plan(config, config.return_path)
    flow = Flow(client, port, "203.0.113.10", 80, 6)

    assert in_.where(flow).owner == back.where(flow).owner


@given(addresses(4))
def test_ports_80_and_443_of_a_client_meet_one_server(client: Address) -> None:
    config = Config(
        secret=SECRET,
        service=[
            service(key="hash(src_ip)"),
            service(key="hash(src_ip)", name="tls", port=443),
        ],
    )
    plan = make_plan(config)
    plain, tls = (
        plan.where(Flow(client, 40_000 + port, "203.0.113.10", port, 6)) for port in (80, 443)
    )

    assert plain.owner == tls.owner
