"""Whether a server is on the segment of an interface: the kernel's routes, asked the right way."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from ipaddress import ip_address
from typing import Final

import pytest

from remainder.flow import Address
from remainder.kernel import netlink, netns

pytestmark = pytest.mark.root

CARDS: Final = """
ip link add eth0 type veth peer name far0
ip link add eth1 type veth peer name far1
ip link set far0 up
ip link set far1 up
ip link set eth0 up
ip link set eth1 up
"""
TWO_IN_ONE_SEGMENT: Final = """
ip address add 192.0.2.2/24 dev eth0
ip address add 192.0.2.3/24 dev eth1
ip address add 2001:db8:1::2/64 dev eth0 nodad
ip address add 2001:db8:1::3/64 dev eth1 nodad
"""
ONE_EACH: Final = """
ip address add 192.0.2.2/24 dev eth0
ip address add 198.51.100.2/24 dev eth1
ip address add 2001:db8:1::2/64 dev eth0 nodad
ip address add 2001:db8:2::2/64 dev eth1 nodad
ip route add default via 192.0.2.1 dev eth0
ip route add default via 2001:db8:1::1 dev eth0
"""
SERVERS: Final = (ip_address("192.0.2.11"), ip_address("2001:db8:1::11"))


def asked(commands: str, question: Callable[[], object]) -> object:
    """What a question is answered on a machine that was made by these commands."""

    def body() -> object:
        for line in filter(None, (CARDS + commands).splitlines()):
            subprocess.run(line.split(), check=True)
        return question()

    return netns.apart(body)


def why(name: str, *addresses: Address) -> list[str | None]:
    """For each address, why it is not on the segment."""
    index = netlink.interface(name).index
    found = [netlink.off_link([address], index) for address in addresses]
    return [None if reason is None else reason[1] for reason in found]


@pytest.mark.parametrize("name", ["eth0", "eth1"])
def test_of_two_interfaces_in_one_segment_both_reach_it(name: str) -> None:
    assert [None, None] == asked(TWO_IN_ONE_SEGMENT, lambda: why(name, *SERVERS))


def test_an_address_of_another_interfaces_segment_is_not_on_this_one() -> None:
    """Neither by the default route, nor where there is none."""
    behind = asked(ONE_EACH, lambda: why("eth0", ip_address("203.0.113.7")))
    missing = asked(ONE_EACH, lambda: why("eth1", *SERVERS))

    assert ["203.0.113.7 is behind the gateway 192.0.2.1, not on the segment"] == behind
    assert [f"no route to {server} through eth1" for server in SERVERS] == missing


@pytest.mark.parametrize("name", ["eth0", "eth1"])
def test_an_address_of_the_host_is_no_server_whatever_its_interface(name: str) -> None:
    own = [ip_address(text) for text in ("192.0.2.3", "2001:db8:1::3", "127.0.0.1", "::1")]

    assert [f"{address} is an address of this host" for address in own] == asked(
        TWO_IN_ONE_SEGMENT + "ip link set lo up", lambda: why(name, *own)
    )


def test_without_any_route_nothing_is_on_the_segment() -> None:
    assert [f"no route to {server} through eth0" for server in SERVERS] == asked(
        "", lambda: why("eth0", *SERVERS)
    )


def test_a_route_that_refuses_is_no_way_to_a_server() -> None:
    refused = "ip route add unreachable 192.0.2.11"

    assert ["no route to 192.0.2.11 through eth0"] == asked(
        ONE_EACH + refused, lambda: why("eth0", SERVERS[0])
    )
