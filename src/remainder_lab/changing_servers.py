"""The scene of a service whose servers change, and pass on the sessions of earlier ones.

::

    clients ── router ═══ segment ─┬─ lb1       192.0.2.2   2001:db8:2::2   eth0
                                   ├─ lb2       192.0.2.3   2001:db8:2::3   eth0
                                   ├─ s1        192.0.2.11  2001:db8:2::11  eth0
                                   └─ …

As ecmp, but the servers are nodes of the file as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from remainder.fleet import parts_of
from remainder.sources.file import load
from remainder_lab import numbering
from remainder_lab.balanced import ECHO_PORT, WEB_PORT, Size, built
from remainder_lab.ecmp import BALANCERS, Ecmp
from remainder_lab.wire import MTU, PassAll, attach_pass_all


@dataclass(frozen=True, kw_only=True)
class Calculation:
    """How a service chooses: a key, a table, and servers by the names of their hosts."""

    servers: Sequence[str]
    key: str = "src_ip + src_port + dst_ip + dst_port + protocol"
    table: str = "modulo"
    slots: int | None = None
    weights: Mapping[str, int] | None = None


class ChangingServers(Ecmp):
    """Two balancers, and servers that are nodes."""

    @property
    def place(self) -> tuple[str, ...]:
        """The file says it."""
        return ()

    @property
    def shared(self) -> list[str]:
        """The balancers; the other nodes are servers."""
        return list(BALANCERS)

    def file_text(
        self,
        now: Calculation,
        *before: Calculation,
        mode: str = "auto",
        secret: str | None = None,
        chance: bool = True,
    ) -> str:
        """A file: services web and echo of each IP version, and the earlier ways to choose.

        Without ``chance`` the servers are not nodes, so what moves breaks.
        """
        lines = [] if secret is None else [f'secret = "{secret}"', ""]
        for name in self.shared:
            lines += ["[[balancer]]", f'name = "{self.nodes[name].namespace}"']
            lines += ['interface = "eth0"', f'mode = "{mode}"', ""]
        for version in self.versions:
            suffix = "" if version == 4 else "6"
            for name, port, protocol in (("web", WEB_PORT, "tcp"), ("echo", ECHO_PORT, "udp")):
                lines += [
                    "",
                    "[[service]]",
                    f'name = "{name}{suffix}"',
                    f'vip = "{numbering.VIPS[version]}"',
                    f"port = {port}",
                    f'protocol = "{protocol}"',
                    *self._lines(now, version, mode if chance else None),
                ]
                for earlier in before if protocol == "tcp" else ():
                    lines += [
                        "",
                        "[[service.before]]",
                        *self._lines(earlier, version, mode if chance else None),
                    ]
        return "\n".join([*lines, ""])

    def name_of(self, node: str | None) -> str | None:
        """The host that the file calls ``node``; None for None."""
        return next((name for name, host in self.nodes.items() if host.namespace == node), None)

    def servers_own(self, name: str, version: int = 4) -> str:
        """A server's own address, which redirected packets go to."""
        return numbering.server_address(name, version)

    def wait_until_published(self, path: Path, names: Sequence[str] | None = None) -> None:
        """Until these nodes, or all that run, have the tables of a file."""
        config = load(path)
        for name in list(self.nodes) if names is None else names:
            for part in parts_of(config, self.nodes[name].namespace):
                fingerprint = part.plan.fingerprint[:12]
                self.running(name).wait_for(f"published {path} ({part.role} tables {fingerprint}")

    def _lines(self, one: Calculation, version: int, mode: str | None) -> list[str]:
        node = "" if mode is None else f', interface = "eth0", mode = "{mode}"'
        weights = one.weights or {}
        return [
            f'key = "{one.key}"',
            f'table = "{one.table}"',
            *([] if one.slots is None else [f"slots = {one.slots}"]),
            "servers = [",
            *(
                f'  {{ name = "{self.servers[name].namespace}", '
                f'address = "{numbering.server_address(name, version)}", '
                f"weight = {weights.get(name, 1)}{node} }},"
                for name in one.servers
            ),
            "]",
        ]


@contextmanager
def changing_servers(
    *,
    servers: int = 5,
    clients: int = 200,
    ipv6: bool = True,
    mtu: int = MTU,
    pass_all: PassAll = attach_pass_all,
) -> Iterator[ChangingServers]:
    """Build the scene; the router sends to the first balancer until it is told otherwise.

    ``clients`` is how many addresses the clients have, of each version.
    """
    size = Size(servers=servers, clients=clients, ipv6=ipv6, mtu=mtu)
    with built(ChangingServers, BALANCERS, size, servers_run=True, pass_all=pass_all) as scene:
        scene.share_by_session(BALANCERS[:1])
        yield scene
