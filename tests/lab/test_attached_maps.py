"""No session table (claim 5): the maps of what is attached, on every node of a whole fleet."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from remainder.kernel import libbpf, pins
from remainder.plan import Role
from remainder_lab import http_sessions, udp_exchanges
from remainder_lab.whole_fleet import WholeFleet, whole_fleet
from tests.kernel_maps import COMMON, TABLES, Facts, contents_of, facts_of

pytestmark = [pytest.mark.root, pytest.mark.bpf]

SESSIONS: Final = 400


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeFleet]:
    """Members, balancers and senders that run by one file."""
    file = tmp_path_factory.mktemp("maps") / "r.toml"
    with whole_fleet() as built:
        built.start_servers()
        file.write_text(built.config_text(mode="native"))
        built.start_balancer(file)
        yield built


def roles_of(scene: WholeFleet) -> dict[str, Role]:
    """Node → what it is."""
    roles: dict[str, Role] = dict.fromkeys(scene.routers, "member")
    roles.update(dict.fromkeys(scene.middle, "balancer"))
    roles.update(dict.fromkeys(scene.servers, "sender"))
    return roles


@contextmanager
def attached_programs(scene: WholeFleet) -> Iterator[dict[str, int]]:
    """``node`` and ``node companion`` → a descriptor of the program that is attached there.

    Which it is, the link says, or the filter where the kernel has no tcx.
    """
    programs: dict[str, int] = {}
    try:
        for name, role in roles_of(scene).items():
            attached = pins.find(scene.nodes[name].namespace, role)
            assert attached is not None
            hooks = {name: attached.link, f"{name} companion": attached.companion}
            for place, hook in hooks.items():
                number = hook.target()[0] if hook is not None else None
                if number is not None:
                    programs[place] = libbpf.program_by_id(number)
            attached.close()
        yield programs
    finally:
        for program in programs.values():
            os.close(program)


def test_what_is_attached_has_arrays_of_a_fixed_size_and_packets_write_to_counters_alone(
    scene: WholeFleet,
) -> None:
    """Balancers, members with their companions, senders: before and after sessions."""
    with attached_programs(scene) as programs:
        facts = {place: facts_of(program) for place, program in programs.items()}
        contents = {place: contents_of(program) for place, program in programs.items()}
        sessions = [
            session
            for version in scene.versions
            for sources in [scene.client_addresses[version]]
            for session in (
                *http_sessions(
                    scene.clients, scene.web(version), sources=sources, sessions=SESSIONS
                ),
                *udp_exchanges(scene.clients, scene.echo(version), sources=sources, flows=100),
            )
        ]
        after: dict[str, dict[str, Facts]] = {
            place: facts_of(program) for place, program in programs.items()
        }
        untouched = {place: contents_of(program) for place, program in programs.items()}
    expected = {
        **dict.fromkeys(roles_of(scene), TABLES),
        **{f"{name} companion": COMMON for name in scene.routers},
    }

    assert [] == [session for session in sessions if not session.ok]
    assert len(sessions) == len(scene.versions) * (SESSIONS + 100)
    assert expected == {
        place: {name: fact.kind for name, fact in maps.items()} for place, maps in facts.items()
    }
    assert facts == after
    assert contents == untouched
