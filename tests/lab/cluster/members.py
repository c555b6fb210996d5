"""What tests of a cluster ask its members."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from remainder.config import CLUSTER_MAC
from remainder_lab import Host
from remainder_lab.acts_cluster import publish
from remainder_lab.cluster import Cluster
from remainder_lab.running import end


def run_members(
    scene: Cluster, file: Path, text: str, *, names: Iterable[str] | None = None
) -> None:
    """Let these members run with this file, and no others; those that run already follow it."""
    names = list(scene.members) if names is None else list(names)
    running = {item.title.split()[-1]: item for item in scene.balancers if item.poll() is None}
    stop(scene, running.keys() - set(names))
    file.write_text(text)
    scene.start_nodes(file, names=[name for name in names if name not in running])
    publish(scene, file, text, names=names)


def stop(scene: Cluster, names: Iterable[str]) -> None:
    """End ``remainder run`` of some members, or of those that it still runs on."""
    end(item for item in scene.balancers if item.title.split()[-1] in set(names))


def listens(host: Host) -> int:
    """How often a host's interface has joined the cluster's group address."""
    text = host.call(Path("/proc/thread-self/net/dev_mcast").read_text)
    return sum(line.split()[-1] == CLUSTER_MAC.replace(":", "") for line in text.splitlines())
