"""A file with a [[return_path]] and nothing else is a whole file (claim 44 alone)."""

from __future__ import annotations

from remainder.fleet import nodes_of, parts_of, tiers_of
from remainder.flow import parse_flow
from remainder.sources.file import loads
from tests.unit.roles.machine import Machine

ALONE = """
[[return_path]]
name = "back"
key = "src_ip"
table = "modulo"
others = true
routers = [{ name = "r1", address = "192.0.2.1" }, { name = "r2", address = "192.0.2.3" }]
senders = [{ name = "n", interface = "eth0" }]
"""


def test_it_names_the_router_of_every_flow_of_both_families() -> None:
    config = loads(ALONE)
    (tier,) = tiers_of(config)
    (part,) = parts_of(config, "n")

    assert ["n"] == nodes_of(config)
    assert ("return_path", "sender", "eth0") == (tier.kind, part.role, part.interface)
    assert ["r1", "r2", "r1", "r2"] == [
        part.plan.where(parse_flow(*pair)).owner
        for pair in (
            ("198.51.100.2", "203.0.113.10"),
            ("198.51.100.3", "203.0.113.10"),
            ("2001:db8::2", "2001:db8::1"),
            ("2001:db8::3", "2001:db8::1"),
        )
    ]


def test_it_runs_and_changes_and_stops(machine: Machine) -> None:
    machine.write(ALONE)
    node = machine.start()
    before = machine.met("sender")
    machine.write(ALONE.replace(', { name = "r2", address = "192.0.2.3" }', ""))
    node.reload()

    assert ["sender"] == [role.role for role in node.roles]
    assert before[:2] != machine.met("sender")[:2]

    node.stop()

    assert {} == machine.kernel.planes
