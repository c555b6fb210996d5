"""Servers are looked for on the segment, each once."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

import pytest

from remainder.config import Config, Server, Service
from remainder.errors import HostError
from remainder.flow import Address
from remainder.kernel.fake import FakeHost, FakeKernel
from remainder.kernel.neighbours import Neighbour
from remainder.kernel.netlink import Interface
from remainder.plan import Plan, make_plan
from remainder.roles import segment
from tests.warnings import Warned

INTERFACE = Interface(
    index=7, name="eth7", mac=bytes(6), mtu=1500, up=True, kind=None, xdp_mode=None,
    xdp_program=None,
)  # fmt: skip


def _plan(services: int) -> Plan:
    servers = [Server(name=f"s{number}", address=f"192.0.2.{number}") for number in (1, 2)]
    return make_plan(
        Config(
            service=[
                Service(
                    name=f"web-{port}", vip="203.0.113.10", port=port, protocol="tcp",
                    key="src_ip", table="modulo", servers=servers,
                )
                for port in range(1, services + 1)
            ]
        )
    )  # fmt: skip


class Segment(FakeHost):
    """One interface, number 7, on which nothing answers."""

    def __init__(self) -> None:
        super().__init__(FakeKernel())
        self.asked: list[Address] = []
        self.elsewhere: Address | None = None
        self.known: dict[Address, Neighbour] = {}

    def off_link(self, addresses: Iterable[Address], index: int) -> tuple[Address, str] | None:
        """Where a test wants a server."""
        assert INTERFACE.index == index
        self.asked += addresses
        return None if self.elsewhere is None else (self.elsewhere, "it is elsewhere")

    def keep_resolved(self, index: int, addresses: Iterable[Address]) -> None:
        """At once."""

    def neighbours(self, index: int) -> dict[Address, Neighbour]:
        """What a test wants known."""
        assert INTERFACE.index == index
        return self.known


def test_a_server_of_many_services_is_looked_for_once() -> None:
    host = Segment()
    segment.check_servers(host, _plan(400), INTERFACE)

    assert [ip_address("192.0.2.1"), ip_address("192.0.2.2")] == host.asked


def test_a_server_elsewhere_is_named_with_the_first_service_that_has_it() -> None:
    host = Segment()
    host.elsewhere = ip_address("192.0.2.2")
    with pytest.raises(HostError) as refused:
        segment.check_servers(host, _plan(2), INTERFACE)

    assert (
        "server 's2' of service 'web-1': it is elsewhere; method l2 requires it on the segment of "
        "eth7" == str(refused.value)
    )


@pytest.mark.parametrize("managed", [True, False])
def test_a_kernel_that_does_not_keep_neighbours_is_told_of_once(*, managed: bool) -> None:
    """Before Linux 5.16 it takes the request, and forgets what it does not know."""
    host = Segment()
    host.known = {
        address: Neighbour(address, b"\2\0\0\0\0\1", valid=True, managed=managed)
        for address in map(ip_address, ("192.0.2.1", "192.0.2.2", "192.0.2.99"))
    }
    warnings = Warned()
    plan = _plan(3)
    resolved = segment.resolve(host, plan, INTERFACE, {}, warnings)
    segment.resolve(host, plan, INTERFACE, dict(resolved.macs), warnings)

    assert segment.addresses_of(plan) == resolved.macs.keys()
    assert (not managed) == bool(warnings)
    assert len(warnings) <= 1
