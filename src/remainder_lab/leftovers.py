"""What a lab leaves behind when it, or a balancer in it, is killed.

Rule: only what carries a lab's own name is touched, ``rmd-PID-…`` with a dead
PID; a node of the lab has the name of its namespace.
"""

from __future__ import annotations

from contextlib import suppress

from remainder.errors import HostError
from remainder_lab import namespaces
from remainder_lab.running import end_marked


def remove_leftovers() -> list[str]:
    """Remove what dead processes left behind; the names of the namespaces removed."""
    names = namespaces.orphans()
    for name in names:
        end_marked(name)
        with suppress(HostError, FileNotFoundError):  # another command may clean up as we do
            namespaces.call(name, forget_node, name)
        namespaces.remove(name)
    return names


def forget_node(node: str) -> None:
    """Take away the data plane that a killed balancer left pinned, and its notes."""
    # Where no balancer runs, no libbpf is needed.
    from remainder.roles.node import detach  # noqa: PLC0415

    detach(node)
