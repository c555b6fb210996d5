"""The scene of two balancers: one active, one standby.

::

    clients ── router ── segment ─┬─ lb1        192.0.2.2   2001:db8:2::2   eth0
                                  ├─ lb2        192.0.2.3   2001:db8:2::3   eth0
                                  ├─ s1         192.0.2.11  2001:db8:2::11
                                  └─ …

Claims: 15, 16.
The router finds the VIPs on the segment, by ARP and neighbour discovery; so
it sends to whichever balancer says that the VIPs are its own.  Real keepalived
decides which one does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from remainder.errors import HostError
from remainder_lab import numbering, tools
from remainder_lab.balanced import Balanced, Size, built
from remainder_lab.host import python_module
from remainder_lab.patience import patient
from remainder_lab.running import Running
from remainder_lab.wire import MTU, PassAll, attach_pass_all

ROUTER_ID: Final = 51
ADVERT_INTERVAL_S: Final = 0.1
TAKEOVER_LIMIT_S: Final = 10.0
LOOK_S: Final = 0.01

BALANCERS: Final = ("lb1", "lb2")


@dataclass(frozen=True, kw_only=True)
class StandbyPair(Balanced):
    """Two balancers; ``start_balancer`` starts both, and keepalived beside them."""

    folder: Path
    """For what keepalived reads and writes."""

    keepaliveds: dict[str, Running] = field(default_factory=dict)
    """Name of a balancer → its keepalived, the latest."""

    def balancer_sections(self, mode: str | None) -> list[str]:
        """Lines of the file: [vrrp], and a [[balancer]] for each in any case."""
        vrrp = ["[vrrp]", f"router_id = {ROUTER_ID}", f"advert_interval_s = {ADVERT_INTERVAL_S}"]
        return [*vrrp, "", *super().balancer_sections(mode or "auto")]

    def start_balancer(
        self, config_path: Path | str, *extra_args: str, ready_s: float = 20.0
    ) -> Running:
        """Run both balancers and keepalived, until the first is active; the first's process."""
        started = [self.launch_balancer(name, config_path, *extra_args) for name in self.nodes]
        for process in started:
            process.wait_for("ready", timeout_s=ready_s)
        for name in self.nodes:
            if name not in self.keepaliveds or self.keepaliveds[name].poll() is not None:
                self.start_keepalived(name, config_path)
        self.wait_until_alone(BALANCERS[0])
        return started[0]

    def start_keepalived(self, name: str, config_path: Path | str) -> Running:
        """Run keepalived on a balancer by what ``remainder keepalived`` writes for it."""
        program = tools.find("keepalived")
        conf, pid, vrrp_pid = (
            self.folder / f"{name}.{suffix}" for suffix in ("conf", "pid", "vrrp.pid")
        )
        conf.write_text(self.keepalived_conf(name, config_path), encoding="utf-8")
        for path in (pid, vrrp_pid):
            # After kill -9 it would believe that it runs already.
            path.unlink(missing_ok=True)
        process = self.nodes[name].popen(
            [program, "-n", "-l", "-D", "-P", f"-f{conf}", f"-p{pid}", f"-r{vrrp_pid}"],
            title=f"keepalived of {name}",
        )
        self.keepaliveds[name] = process
        return process

    def keepalived_conf(self, name: str, config_path: Path | str) -> str:
        """What ``remainder keepalived`` prints on a balancer."""
        host = self.nodes[name]
        arguments = ("keepalived", str(config_path), "--node", host.namespace)
        said = host.run(python_module("remainder", *arguments))
        if said.returncode:
            raise HostError(f"no keepalived.conf for {name}: {said.stderr.strip()}")
        return said.stdout

    def holders(self) -> dict[str, set[str]]:
        """Name of a balancer → the VIPs on its interface."""
        vips = set(self.vips.values())
        return {
            name: {
                message.get_attr("IFA_ADDRESS")
                for message in host.netlink(lambda ip: list(ip.get_addr()))
            }
            & vips
            for name, host in self.nodes.items()
        }

    def wait_until_active(self, name: str) -> None:
        """Return when a balancer holds all VIPs, whatever others believe."""
        self._wait_for_holders(name, lambda holders: holders[name] == set(self.vips.values()))

    def wait_until_alone(self, name: str) -> None:
        """Return when a balancer holds all VIPs, and no other one holds any."""
        wanted = {other: set[str]() for other in self.nodes} | {name: set(self.vips.values())}
        self._wait_for_holders(name, lambda holders: holders == wanted)

    def _wait_for_holders(
        self, name: str, settled: Callable[[Mapping[str, set[str]]], bool]
    ) -> None:
        limit_s = patient(TAKEOVER_LIMIT_S)
        deadline_s = time.monotonic() + limit_s
        while not settled(holders := self.holders()):
            if time.monotonic() > deadline_s:
                said = "\n  ".join(self.keepaliveds[name].lines[-20:])
                raise HostError(
                    f"{name} did not become active within {limit_s:g} s, the VIPs are "
                    f"on {holders}; output of keepalived:\n  {said}"
                )
            time.sleep(LOOK_S)


@contextmanager
def standby_pair(
    *,
    servers: int = 4,
    clients: int = 200,
    ipv6: bool = True,
    mtu: int = MTU,
    pass_all: PassAll = attach_pass_all,
) -> Iterator[StandbyPair]:
    """Build the scene; ``clients`` is how many addresses the clients have, of each version."""
    size = Size(servers=servers, clients=clients, ipv6=ipv6, mtu=mtu)
    with (
        TemporaryDirectory(prefix="remainder-lab-") as folder,
        built(
            partial(StandbyPair, folder=Path(folder)), BALANCERS, size, pass_all=pass_all
        ) as scene,
    ):
        for version, vip in scene.vips.items():
            scene.router.add_route(f"{vip}/{numbering.HOST_BITS[version]}", interface="eth0")
        yield scene
