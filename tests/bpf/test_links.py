"""What links.py reads of real interfaces, in a network namespace of its own."""

from __future__ import annotations

import subprocess
from ipaddress import ip_address

import pytest

from remainder.kernel import netns
from remainder.kernel.links import Link, links

pytestmark = pytest.mark.root

VIP = ip_address("203.0.113.10")
MADE = """
ip link add eth0 address 02:00:00:00:00:01 type veth peer name far
ip address add 203.0.113.10/32 dev eth0
ip link add br0 type bridge
ip link set far master br0
ip tuntap add dev tun0 mode tun
ip tuntap add dev tap0 mode tap
"""


def made() -> dict[str, Link]:
    for line in MADE.strip().splitlines():
        subprocess.run(line.split(), check=True)
    return {link.name: link for link in links()}


def test_what_is_ethernet_is_read_with_its_master_and_its_addresses() -> None:
    found = netns.apart(made)

    assert {"eth0", "far", "br0", "tap0"} == set(found)
    assert (b"\x02\0\0\0\0\1", "veth", None) == (
        found["eth0"].mac,
        found["eth0"].kind,
        found["eth0"].vlan,
    )
    assert frozenset({VIP}) == found["eth0"].addresses
    assert ("bridge", found["br0"].index) == (found["br0"].kind, found["far"].master)
