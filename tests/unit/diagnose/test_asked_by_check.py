"""What ``check`` makes of a segment: ok, NO, or not tried and why."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from remainder.config import Config
from remainder.diagnose.probe import Finding
from remainder.diagnose.probe_interface import surveyed
from remainder.diagnose.survey import Place, Survey, survey
from remainder.errors import HostError
from remainder.fleet import Part, parts_of
from remainder.plan import Role
from tests.fleets import cluster, fleet
from tests.unit.diagnose.segment import VIPS, Lan, lan, of

ANSWER = "servers answer ARP and neighbour discovery"
READY = "servers answer for their VIPs"
ALONE = "only balancers answer ARP for the VIPs"
FOREIGN = "other sources get through from here"


def findings(where: Lan, *, filters_sources: bool = False) -> dict[str, Finding]:
    wire = where.wire(filters_sources=filters_sources)
    return tried(
        where.part, lambda: (where.place, survey(wire, where.part, where.place, foreign=True))
    )


def tried(part: Part, ask: Callable[[], tuple[Place, Survey]]) -> dict[str, Finding]:
    found = {}
    for need, trial in surveyed(part, ask):
        try:
            found[need] = Finding(need, met=True, detail=trial())
        except HostError as error:
            found[need] = Finding(need, met=False, detail=str(error))
    return found


def no(found: dict[str, Finding]) -> set[str]:
    return {need for need, finding in found.items() if not finding.met}


def test_all_is_right() -> None:
    found = findings(lan())

    assert {ANSWER: "all 2", READY: "all", ALONE: "nobody"} == {
        need: found[need].detail for need in (ANSWER, READY, ALONE)
    }
    assert found[FOREIGN].detail.startswith("yes, tried with 192.0.2.")
    assert set() == no(found)


def test_each_fault_is_a_no_of_its_own() -> None:
    dead, bare, open_ = lan(), lan(), lan()
    dead.machines.pop(1)
    bare.machines[1].holds = frozenset()
    open_.machines[1].answers |= of(VIPS[4])

    assert {ANSWER} == no(findings(dead))
    assert {READY} == no(findings(bare))
    assert {ALONE} == no(findings(open_))
    assert {FOREIGN} == no(findings(lan(), filters_sources=True))


def test_what_could_not_be_tried_says_so_and_is_no_fault() -> None:
    alone = lan()
    alone.machines.clear()
    found = findings(alone)

    assert {ANSWER} == no(found)
    assert found[READY].detail.startswith("not tried: no server answers")
    assert found[FOREIGN].detail.startswith("not tried: no server answers")


def test_without_the_right_to_ask_nothing_is_known_and_nothing_is_a_no() -> None:
    def refused() -> tuple[Place, Survey]:
        raise HostError("asking the segment requires CAP_NET_RAW", id="needs-root")

    found = tried(lan().part, refused)

    assert set() == no(found)
    assert {"not tried: asking the segment requires CAP_NET_RAW"} == {
        finding.detail for finding in found.values()
    }


@pytest.mark.parametrize(
    ("config", "node", "role", "needs"),
    [
        (fleet(), "lb1", "balancer", [ANSWER, READY, ALONE, FOREIGN]),
        (fleet(), "r1", "member", []),
        (
            fleet(cluster=[cluster(address="203.0.113.20")]),
            "r1",
            "member",
            ["only the cluster answers ARP for its addresses"],
        ),
        (fleet(), "s1", "sender", ["routers answer ARP and neighbour discovery"]),
    ],
)
def test_a_role_is_asked_for_what_concerns_it(
    config: Config, node: str, role: Role, needs: list[str]
) -> None:
    (part,) = parts_of(config, node)

    assert role == part.role
    assert needs == [need for need, _ in surveyed(part, lambda: (lan().place, Survey()))]


def test_the_other_balancers_of_the_file_are_beside_this_one() -> None:
    (part,) = parts_of(fleet(), "lb1")

    assert ("lb2",) == part.beside
