"""Two balancers whose files have the same services in another order agree (claims 15 and 16).

Tables of all services stand one behind the other, so where a service's slots and servers begin
depends on what stands before it.  With as many servers each, one beginning may pass for another:
here every service has another number of them.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from ipaddress import ip_address
from itertools import permutations
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from remainder.flow import Address
from remainder.kernel.oracle import made_up_macs
from remainder.plan import make_plan
from remainder.reference import Node
from remainder.sources.file import load
from tests import frames
from tests.bpf.kernel import kernel

pytestmark = pytest.mark.bpf

CLIENTS: Final = 60


class Spec(NamedTuple):
    """A service, and the addresses of its servers: those of no other."""

    name: str
    vip: Address
    servers: tuple[Address, ...]

    @property
    def section(self) -> str:
        lines = ", ".join(
            f'{{ name = "s{number}", address = "{address}" }}'
            for number, address in enumerate(self.servers)
        )
        return (
            f'[[service]]\nname = "{self.name}"\nvip = "{self.vip}"\nport = 80\nprotocol = "tcp"\n'
            f'key = "src_ip + src_port"\ntable = "modulo"\nservers = [{lines}]\n'
        )


def spec(name: str, vip: str, pattern: str, servers: int) -> Spec:
    addresses = tuple(ip_address(pattern.format(number)) for number in range(1, servers + 1))
    return Spec(name, ip_address(vip), addresses)


SERVICES: Final = (
    spec("few", "203.0.113.10", "192.0.2.{}", 2),
    spec("more", "203.0.113.20", "192.0.2.1{}", 3),
    spec("six", "2001:db8:113::10", "2001:db8:2::{:x}", 5),
    spec("many", "203.0.113.30", "192.0.2.10{}", 7),
)


def write(path: Path, services: Iterable[Spec]) -> Path:
    path.write_text("\n".join(one.section for one in services))
    return path


@pytest.mark.parametrize("table", ['"modulo"', '"maglev"\nslots = 251'], ids=["modulo", "maglev"])
def test_services_in_any_order_have_the_same_answers(tmp_path: Path, table: str) -> None:
    """All 24 orders: the same fingerprint, verdict and bytes for every frame.

    With modulo they are those of plain arithmetic too.
    """
    plans = []
    for number, order in enumerate(permutations(SERVICES)):
        path = write(tmp_path / f"{number}.toml", order)
        path.write_text(path.read_text().replace('"modulo"', table))
        plans.append(make_plan(load(path)))
    macs = made_up_macs(plans[0])
    node = Node(mac=frames.BALANCER, macs=macs)
    random_ = random.Random(15)
    cases = []
    for one in SERVICES:
        for _ in range(CLIENTS):
            client = type(one.vip)(random_.getrandbits(32 if one.vip.version == 4 else 128))
            port = random_.randrange(1, 65536)
            packet = frames.ip(client, one.vip, protocol=6, payload=frames.tcp(port, 80))
            named = one.servers[(int(client) + port) % len(one.servers)]
            cases.append((frames.to_balancer(packet), named))
    said = []
    for plan in plans:
        with kernel(plan, node) as running:
            said.append([running.loaded.run(frame) for frame, _ in cases])

    assert 1 == len({plan.fingerprint for plan in plans})
    assert 24 == len(said)
    for answers in said:
        assert said[0] == answers
    # Every server of every service, and no other, is somebody's.
    assert {macs[address] for one in SERVICES for address in one.servers} == {
        sent[:6] for _, sent in said[0]
    }
    if table == '"modulo"':
        assert [macs[named] for _, named in cases] == [sent[:6] for _, sent in said[0]]
