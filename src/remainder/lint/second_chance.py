"""Who of a service with earlier calculations cannot pass sessions on.

A server that receives a session of another server can only pass it on if it runs
this file, which it does if the file names its interface.
Rule: pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from remainder.config import Config


@dataclass(frozen=True, kw_only=True)
class WithoutChance:
    """A service, and servers that get sessions of others and cannot pass them on."""

    service: str
    servers: Sequence[str]

    @property
    def sentence(self) -> str:
        """For people."""
        return (
            f"service {self.service!r} has earlier calculations, but {', '.join(self.servers)} "
            f"without an interface in the file cannot pass on sessions of other servers, which "
            f"break there; add interface to these servers, and run the file on them"
        )


def without_chance(config: Config) -> list[WithoutChance]:
    """Every service with earlier calculations some of whose servers name no interface.

    Only who owns slots now is concerned: it is where the balancer sends a session.
    """
    found = []
    for service in config.service:
        if not service.before:
            continue
        everyone = [*service.servers, *(one for item in service.before for one in item.servers)]
        nodes = {server.name for server in everyone if server.interface is not None}
        names = [
            server.name for server in service.servers if server.weight and server.name not in nodes
        ]
        if names:
            found.append(WithoutChance(service=service.name, servers=names))
    return found
