"""No session table (claim 5): the maps that the kernel says a program has, and who writes them."""

from __future__ import annotations

import random
from typing import Final

import pytest

from remainder.config import Config
from remainder.fleet import parts_of, server_plan
from remainder.outcome import Outcome
from remainder.plan import Plan, Role, make_plan
from remainder.reference import Node
from tests import frames, recipes
from tests.bpf.kernel import kernel
from tests.fleets import changing
from tests.kernel_maps import COMMON, COUNTERS, TABLES, contents_of, facts_of
from tests.roles import turned
from tests.several import CONFIG, NODE

pytestmark = pytest.mark.bpf

FRAMES: Final = 3_000
PLANS: Final[dict[Role, Plan]] = {
    "balancer": make_plan(CONFIG),
    **{part.role: part.plan for part in parts_of(CONFIG, NODE)},
    "server": server_plan(Config(service=[changing()]), "s1"),
}


def host_of(plan: Plan) -> Node:
    macs = {address: frames.mac(number) for number, (_, _, address) in enumerate(plan.reached, 1)}
    return Node(mac=frames.BALANCER, macs=macs, cluster_mac=CONFIG.cluster[0].mac)


@pytest.mark.parametrize("role", PLANS)
def test_a_program_has_arrays_and_its_own_data_and_no_other_map(role: Role) -> None:
    """Exactly these, of exactly these types: there is nothing in which a session could be kept."""
    with kernel(PLANS[role], host_of(PLANS[role])) as running:
        found = {name: facts.kind for name, facts in facts_of(running.loaded.program_fd).items()}

    assert TABLES == found


def test_the_members_companion_has_no_map_but_the_programs_data() -> None:
    with kernel(PLANS["member"], host_of(PLANS["member"])) as running:
        assert running.loaded.companion_fd is not None
        found = {name: facts.kind for name, facts in facts_of(running.loaded.companion_fd).items()}

    assert COMMON == found


@pytest.mark.parametrize("role", PLANS)
def test_packets_of_all_kinds_write_to_counters_alone_and_no_map_grows(role: Role) -> None:
    """Sessions, pings, errors, fragments, broken frames: every other byte stays as it was."""
    plan = PLANS[role]
    host = host_of(plan)
    random_ = random.Random(role)
    aims = recipes.aims_of(plan)
    mac = host.cluster_mac if role == "member" else host.mac
    with kernel(plan, host) as running:
        facts, contents = (of(running.loaded.program_fd) for of in (facts_of, contents_of))
        for _ in range(FRAMES):
            frame = recipes.frame(random_.randbytes(recipes.RECIPE_BYTES), aims, mac)
            if role == "sender":  # whose frames are answers, and whole to the kernel's facility
                frame = turned(frame).ljust(60, b"\0")
            running.loaded.run(frame)
        outcomes = running.outcomes()
        seen = sum(count.packets for count in outcomes.values())
        # A server sees no listener here, and passes nothing on.
        chosen = (
            outcomes[Outcome.KEPT_BLIND].packets
            if role == "server"
            else sum(count.packets for count in running.sent().values())
        )

        assert TABLES.keys() - COUNTERS == contents.keys()
        assert FRAMES == seen
        # A seventh of what is drawn carries another VLAN's tag.
        assert chosen > (FRAMES / 50 if role == "server" else FRAMES / 6)
        assert facts == facts_of(running.loaded.program_fd)
        assert contents == contents_of(running.loaded.program_fd)
