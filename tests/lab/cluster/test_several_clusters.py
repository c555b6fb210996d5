"""A member of two clusters on one interface goes by the rule of each (claims 34 to 43)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from remainder_lab import Session, http_sessions
from remainder_lab.cluster import SHARED, Cluster
from tests.lab.cluster.members import run_members, stop

pytestmark = [pytest.mark.root, pytest.mark.bpf]

ORDER: Final = {4: ("m1", "m2", "m3"), 6: ("m3", "m1", "m2")}
"""IP version → the members of its cluster: the same three, in another order."""


def section(scene: Cluster, version: int, key: str) -> str:
    members = ", ".join(
        f'{{ name = "{scene.members[name].namespace}", interface = "eth0", mode = "native" }}'
        for name in ORDER[version]
    )
    return (
        f'[[cluster]]\nname = "c{version}"\naddress = "{SHARED[version]}"\nkey = "{key}"\n'
        f'table = "modulo"\nmembers = [{members}]\n'
    )


@pytest.mark.parametrize("first", [4, 6])
def test_members_of_two_clusters_keep_their_share_of_each(
    scene: Cluster, file: Path, first: int
) -> None:
    """Whichever stands first in the file; who keeps a session is said by plain integers."""
    keys = {4: "src_ip", 6: "src_ip + src_port"}
    stop(scene, scene.members)
    order = (first, 10 - first)
    run_members(scene, file, "\n".join(section(scene, version, keys[version]) for version in order))
    sessions: dict[int, list[Session]] = {
        version: http_sessions(
            scene.clients,
            scene.web(version),
            sources=scene.client_addresses[version],
            sessions=120,
            timeout_s=2.0,
        )
        for version in scene.versions
    }

    for version, told in sessions.items():
        numbers = [
            int(item.flow.src_ip) + (item.flow.src_port if version == 6 else 0) for item in told
        ]
        expected = [ORDER[version][number % len(ORDER[version])] for number in numbers]

        assert 120 == len(told)
        assert expected == [item.server for item in told]
        assert set(ORDER[version]) == set(expected)
