"""``where`` and the real program say the same of every flow that can be asked for."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from remainder.config import Cluster, Config, Member, ReturnPath, Router, Sender, Server, Service
from remainder.fleet import Tier, tiers_of
from remainder.flow import EXTENSION_HEADERS, WITH_PORTS, Flow, parse_flow
from remainder.kernel.oracle import oracle

pytestmark = pytest.mark.bpf

VIPS = ("203.0.113.10", "2001:db8:113::10")
ENDS = {"203.0.113.10": ("198.51.100.7", "192.0.2.11"), VIPS[1]: ("2001:db8::7", "2001:db8:1::11")}
PORTS = {"203.0.113.10": "{}:80", VIPS[1]: "[{}]:80"}


def config() -> Config:
    """Every protocol of both VIPs, for all three roles."""
    services = [
        Service(
            name=f"s{ip_address(vip).version}",
            vip=vip,
            port="any",
            protocol="any",
            key="src_ip + dst_ip + protocol",
            table="modulo",
            servers=[Server(name="s1", address=server)],
        )
        for vip, (_, server) in ENDS.items()
    ]
    cluster = Cluster(
        name="any",
        address="any",
        key="src_ip + protocol",
        table="modulo",
        members=[Member(name=name, interface="eth0") for name in ("m1", "m2")],
    )
    path = ReturnPath(
        name="back",
        key="src_ip + protocol",
        table="modulo",
        routers=[Router(name=f"r{number}", address=f"192.0.2.{number}") for number in (1, 2, 3)],
        senders=[Sender(name="s1", interface="eth0")],
    )
    return Config(service=services, cluster=[cluster], return_path=[path])


def flows() -> Iterator[Flow]:
    """Of every protocol, in both families, that ``where`` takes."""
    for vip, (client, _) in ENDS.items():
        for number in range(256):
            to = PORTS[vip].format(vip) if number in WITH_PORTS else vip
            if ip_address(vip).version == 4 or number not in EXTENSION_HEADERS:
                yield parse_flow(client, to, str(number))


@pytest.mark.parametrize("tier", tiers_of(config()), ids=lambda tier: tier.kind)
def test_the_calculation_and_the_program_agree_on_every_protocol(tier: Tier) -> None:
    asked_for = list(flows())
    with oracle(tier.plan) as asked:
        said = {flow: asked.where(flow) for flow in asked_for}

    assert 2 * 256 - 5 == len(asked_for)
    assert said == {
        flow: (decision.outcome, decision.owner)
        for flow in asked_for
        for decision in [tier.plan.where(flow)]
    }
