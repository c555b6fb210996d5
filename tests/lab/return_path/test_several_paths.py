"""A sender of two return paths goes by that of the service it answers for (claims 44 to 48)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from remainder_lab import http_sessions, udp_exchanges
from remainder_lab.acts_return import publish, seen_at, turned, watching
from remainder_lab.return_path import ReturnPath
from remainder_lab.tiered import router_address

pytestmark = [pytest.mark.root, pytest.mark.bpf]

ORDER: Final[dict[str, tuple[str, str]]] = {"web": ("r1", "r2"), "echo": ("r2", "r1")}
"""Service → routers of its return path: the same two, the other way round."""


def section(scene: ReturnPath, service: str) -> str:
    routers = ", ".join(
        f'{{ name = "{name}", address = "{router_address(name)}" }}' for name in ORDER[service]
    )
    senders = ", ".join(
        f'{{ name = "{host.namespace}", interface = "eth0" }}' for host in scene.servers.values()
    )
    return (
        f'[[return_path]]\nname = "{service}-back"\nkey = "src_ip"\ntable = "modulo"\n'
        f'services = ["{service}", "{service}6"]\nrouters = [{routers}]\nsenders = [{senders}]\n'
    )


@pytest.mark.parametrize("order", [("web", "echo"), ("echo", "web")], ids="{0[0]}-first".format)
def test_senders_of_two_return_paths_answer_by_that_of_the_service(
    scene: ReturnPath, file: Path, order: Sequence[str]
) -> None:
    """Whichever stands first in the file; the router of an answer is said by plain integers.

    Requests take one router and answers another, so the firewalls must not mind.
    """
    for name in scene.routers:
        scene.lower_firewall(name)
    plain, _, _ = scene.config_text(mode="native").partition("[[return_path]]")
    publish(scene, file, plain + "\n".join(section(scene, service) for service in order))
    with watching(scene) as (_, way_back):
        told = {
            "web": [
                session
                for version in scene.versions
                for session in http_sessions(
                    scene.clients,
                    scene.web(version),
                    sources=scene.client_addresses[version],
                    sessions=100,
                )
            ],
            "echo": [
                session
                for version in scene.versions
                for session in udp_exchanges(
                    scene.clients,
                    scene.echo(version),
                    sources=scene.client_addresses[version],
                    flows=100,
                )
            ],
        }
        back = seen_at(way_back)

    for service, sessions in told.items():
        expected = [ORDER[service][int(session.flow.src_ip) % 2] for session in sessions]

        assert 200 == len(sessions)
        assert [] == [session for session in sessions if not session.ok]
        assert {"r1", "r2"} == set(expected)
        assert [frozenset({router}) for router in expected] == [
            back.get(turned(session.flow), frozenset()) for session in sessions
        ]
