"""Only the members answer for the cluster's addresses; whoever else does is named."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from remainder_lab import numbering
from remainder_lab.cluster import SHARED, Cluster
from tests.lab.cluster.members import run_members, stop

pytestmark = [pytest.mark.root, pytest.mark.bpf]

ALONE = "only the cluster answers ARP for its addresses"
SUM5 = "src_ip + src_port + dst_ip + dst_port + protocol"


def checked(scene: Cluster, file: Path) -> tuple[int, bool, str]:
    """(exit status of ``check --strict``, whether the cluster is alone, what is said of it)."""
    host = scene.members["m1"]
    arguments = ("check", str(file), "--node", host.namespace, "--strict", "--json")
    done = host.run([sys.executable, "-m", "remainder", *arguments])
    (found,) = [item for item in json.loads(done.stdout)["host"] if item["need"] == ALONE]
    return done.returncode, found["met"], found["detail"]


def test_a_machine_beside_the_cluster_that_answers_for_its_address_is_named(
    scene: Cluster, file: Path
) -> None:
    """The members answer with the cluster's MAC, so one with another is none of them."""
    stop(scene, scene.members)
    run_members(scene, file, scene.config_text(key=SUM5, mode="generic"))
    right = checked(scene, file)
    scene.router.netlink(_shared, "add")
    try:
        wrong = checked(scene, file)
    finally:
        scene.router.netlink(_shared, "del")
    said = [line for item in scene.balancers for line in item.lines if "[vip-taken]" in line]
    stop(scene, scene.members)

    assert (0, True, "nobody") == right
    assert (1, False) == wrong[:2]
    assert f"({scene.router.mac('eth0')}) answers ARP for {SHARED[4]}" in wrong[2]
    assert [] == said, "while nobody but the members answered"


def _shared(ip: Any, verb: str) -> None:
    (loopback,) = ip.link_lookup(ifname="lo")
    ip.addr(verb, index=loopback, address=SHARED[4], prefixlen=numbering.HOST_BITS[4])
