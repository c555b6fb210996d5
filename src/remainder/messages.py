"""Which messages have a stable id, so that an operator, a script or a search finds them.

An error or a warning with an id shows it: in brackets behind its sentence, and as
``id`` in the error document of ``--json``.  The sentence may change, the id does not.
Rule: an id is listed here before it is used; docs/operations.md has a row for each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

MESSAGES: Final[Mapping[str, str]] = {
    # starting
    "needs-root": "the command needs root or capabilities that this process lacks",
    "not-permitted": "something besides capabilities forbids it, such as a container",
    "kernel-too-old": "this version of Linux lacks what a role needs",
    "verifier-rejected": "the kernel's verifier rejected our program",
    "libbpf-missing": "libbpf.so.1 is not installed",
    "bpffs-missing": "the BPF file system is not mounted and cannot be mounted",
    "bpffs-hidden": "no BPF file system where it should be, as under `ip netns exec`",
    "node-runs-already": "another process runs this node",
    "run-folder-unsafe": "somebody else could write to the folder of state files",
    "interface-not-given": "neither the file nor --interface names an interface",
    "interface-missing": "this host has no such interface",
    "vlan-missing": "this host has no interface of the file's VLAN",
    "interface-not-ethernet": "the interface's frames have no MAC addresses, as of tun0 and lo",
    "xdp-in-use": "another XDP program is attached to the interface",
    "native-xdp-refused": "--mode native, but the driver cannot do it",
    "server-off-segment": "a server cannot be reached by the method of its service",
    # running
    "generic-mode": "the driver cannot do native XDP, so packets cost more",
    "vip-not-here": "the VIP is not an address of this host",
    "server-unresolved": "a server does not answer ARP or neighbour discovery",
    "server-silent": "a server no longer answers ARP or neighbour discovery",
    "server-back": "a silent server answers again",
    "server-lacks-vip": "a server does not answer a ping of its VIP",
    "server-forwards-vip": "a server forwards packets for the VIP instead of accepting them",
    "server-is-gateway": "a server has the MAC address of the gateway",
    "vip-taken": "another machine answers ARP or neighbour discovery for the VIP",
    "source-filtered": "the network drops packets whose source is not this host",
    "file-rejected": "the changed file is wrong, the previous one stays in use",
    "secret-exposed": "every user of the host can read the secret",
    "restart-needed": "the changed file needs a restart of `remainder run`",
    "interface-gone": "the interface disappeared; it is attached to again when it is back",
    "host-mended": "something that the node had put on its host was gone, and is there again",
    "host-refuses": "something the node wants of its host is refused, and tried again",
    "l2-multicast-accepted": "a stopped member would take other members' UDP packets",
    # looking
    "nothing-runs": "no data plane of that node on this host",
    "data-plane-missing": "a state file without a data plane",
    "state-unreadable": "a state file that is broken, or of another version",
    "host-unready": "`check --strict`: this host lacks something",
    "moves-too-much": "`plan` or an edit: more flows would move than --max-moved allows",
    "answers-differ": "`agree`: a node would answer differently from the file",
    "nodes-not-compared": "`agree`: a node could not be read, so nothing is known of its answers",
    "slots-uncovered": "`agree`: slots of a cluster that no member keeps",
    "program-wrong": "`where --kernel`: the XDP program disagrees with the reference model",
    "results-invalid": "`bench`: something spoilt the measurement",
}
"""id → when it appears"""


class Warn(Protocol):
    """How a warning reaches the operator."""

    def __call__(self, sentence: str, /, *, id: str | None = None) -> None:  # noqa: A002
        """Say a sentence, and its id if it has one."""
