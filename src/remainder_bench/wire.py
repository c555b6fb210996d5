"""Packets per second through a pair of veths: ours beside what else Linux offers.

::

    sender g0 ──── l0 balancer l1 ──── s0 server
      sink                               sink

The sender makes real frames in the kernel; balancer and sink run in the same
softirq, on the same CPU, so the pipeline keeps its own pace and loses nothing.
Rule: a round counts only if as many packets arrived as were sent.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final

from remainder.flow import Flow
from remainder.kernel import libbpf
from remainder.kernel.dataplane import Dataplane
from remainder.plan import Plan
from remainder.reference.frame import frame_of, internet_checksum
from remainder_bench import micro
from remainder_bench.cases import CLIENT_PORT, PORT, plan_for
from remainder_bench.packets import CLIENT, template_of
from remainder_bench.stopwatch import (
    Ends,
    Stopwatch,
    Template,
    load_ends,
    load_peers,
    stopwatch,
)
from remainder_bench.wire_report import Speed
from remainder_lab import End, Host, Wire
from remainder_lab.ethtool import gro_on
from remainder_lab.nft import load_rules

ROUNDS: Final = 5
TRIES: Final = 3
"""A round that lost packets is taken again: the scheduler had moved the softirq elsewhere."""

CHUNK_SHIFT: Final = 10
"""2**10 packets take 0.2 to 2 ms: mostly between two turns of the scheduler."""

SENDS: Final = 12
"""Of a round; the first is not counted, to warm up."""

FLOWS: Final = 1 << 16
SERVERS: Final = 4

_BALANCER: Final = "198.51.100.1/24"
_SERVER: Final = "198.51.100.11"
_TO_SERVERS: Final = ", ".join(f"{number} : 198.51.100.{11 + number}" for number in range(SERVERS))
_TO_US: Final = "ip daddr {vip} udp dport {port}"
_CHOICE: Final = f"jhash ip saddr . udp sport mod {SERVERS} map"


@dataclass(frozen=True)
class Bed:
    """The three hosts, and who counts at both ends."""

    sender: Host
    balancer: Host
    server: Host
    ends: Ends
    template: Template
    plan: Plan


Plane = Callable[[Bed, ExitStack], None]
"""Sets a data plane up at the balancer; the stack takes it down."""


def measure(
    names: Sequence[str] = (),
    *,
    rounds: int = ROUNDS,
    told: Callable[[int], None] = lambda _: None,
) -> list[Speed]:
    """Send through every data plane in turn, ``rounds`` times.  Needs root; some need nft."""
    ns: dict[str, list[float]] = {name: [] for name in names or PLANES}
    lost = dict.fromkeys(ns, 0)
    with stopwatch() as watch:
        for done in range(1, rounds + 1):
            for name, found in ns.items():
                for _ in range(TRIES):
                    took_ns, missing = _round(watch, PLANES[name])
                    if missing == 0:
                        break
                found.append(took_ns)
                lost[name] += missing
            told(done)
    return [Speed(name, tuple(found), lost[name]) for name, found in ns.items()]


def _round(watch: Stopwatch, plane: Plane) -> tuple[float, int]:
    """(ns from packet to packet, packets that were sent and did not arrive)."""
    with bed() as built, ExitStack() as stack:
        plane(built, stack)
        index = built.sender.interface("g0").index
        before = built.ends.packets()
        laps = [
            built.sender.call(
                watch.send,
                built.ends.send,
                built.template,
                ifindex=index,
                flows=FLOWS,
                chunk_shift=CHUNK_SHIFT,
            )
            for _ in range(SENDS)
        ]
        sent = sum(lap.packets for lap in laps)
        missing = sent - (built.ends.packets() - before)
        return statistics.median(lap.ns for lap in laps[1:]), missing


@contextmanager
def bed() -> Iterator[Bed]:
    """Sender, balancer and server, with a sink at both ends and nothing in between."""
    with ExitStack() as stack:
        sender, balancer, server = (
            stack.enter_context(Host(name)) for name in ("sender", "balancer", "server")
        )
        for host in (sender, balancer, server):  # neighbour discovery would be counted too
            host.sysctls(
                [(f"net.ipv6.conf.{which}.disable_ipv6", 1) for which in ("all", "default")]
            )
        stack.enter_context(
            Wire(End(host=sender, interface="g0"), End(host=balancer, interface="l0"))
        )
        stack.enter_context(
            Wire(
                End(host=balancer, interface="l1", addresses=[_BALANCER]),
                End(host=server, interface="s0"),
            )
        )
        ends = load_ends()
        stack.callback(ends.close)
        for host, interface in ((sender, "g0"), (server, "s0")):
            _attach(stack, host, interface, ends.sink, "native")
        balancer.call(gro_on, "l0")
        plan = plan_for(4, "udp", method="l2", key="sum3", services=1, servers=SERVERS)
        flow = Flow(CLIENT[4], CLIENT_PORT, plan.choices[0].choice.match.address, PORT, 17)
        frame = bytearray(
            frame_of(
                flow,
                source_mac=sender.mac_bytes("g0"),
                destination_mac=balancer.mac_bytes("l0"),
            )
        )
        _with_complement(frame)
        yield Bed(sender, balancer, server, ends, template_of(bytes(frame)), plan)


def _with_complement(frame: bytearray) -> None:
    """Make the IPv4 checksum true for every client, as long as the sender keeps the complement.

    UDP's is 0: none.
    """
    frame[18:20] = (0xFFFF - int.from_bytes(frame[28:30], "big")).to_bytes(2, "big")
    frame[24:26] = b"\0\0"
    frame[24:26] = internet_checksum(bytes(frame[14:34])).to_bytes(2, "big")
    frame[40:42] = b"\0\0"


def _attach(stack: ExitStack, host: Host, interface: str, program_fd: int, mode: str) -> None:
    index = host.interface(interface).index
    link = host.call(libbpf.attach, program_fd, index, mode)
    stack.callback(os.close, link)
    stack.callback(libbpf.detach, link)


def _only_return(built: Bed, stack: ExitStack) -> None:
    peers = load_peers(sessions=1)
    stack.callback(peers.close)
    _attach(stack, built.balancer, "l0", peers.only_return, "native")


def _ours(key: str, mode: str) -> Plane:
    def set_up(built: Bed, stack: ExitStack) -> None:
        plan = plan_for(4, "udp", method="l2", key=key, services=1, servers=SERVERS)
        loaded: Dataplane = micro.load(plan)
        stack.callback(loaded.close)
        loaded.tables().set_own_mac(built.balancer.mac_bytes("l0"))
        _attach(stack, built.balancer, "l0", loaded.program_fd, mode)

    return set_up


def _forward(built: Bed, stack: ExitStack) -> None:
    """Plain IP forwarding: the VIP is behind the server."""
    del stack
    built.balancer.sysctl("net.ipv4.ip_forward", 1)
    built.balancer.add_route(f"{built.plan.choices[0].choice.match.address}/32", via=_SERVER)
    mac = built.server.mac("s0")

    def know(ip: Any) -> None:
        (index,) = ip.link_lookup(ifname="l1")
        for number in range(SERVERS):
            ip.neigh(
                "replace",
                dst=f"198.51.100.{11 + number}",
                lladdr=mac,
                ifindex=index,
                state="permanent",
            )

    built.balancer.netlink(know)


def _nft(*lines: str, forwarding: bool) -> Plane:
    def set_up(built: Bed, stack: ExitStack) -> None:
        if forwarding:
            _forward(built, stack)
        mac = built.server.mac("s0")
        text = "\n".join(lines).format(
            us=_TO_US.format(vip=built.plan.choices[0].choice.match.address, port=PORT),
            choice=_CHOICE,
            servers=f"{{ {_TO_SERVERS} }}",
            macs="{ " + ", ".join(f"{number} : {mac}" for number in range(SERVERS)) + " }",
        )
        load_rules(built.balancer, text)

    return set_up


PLANES: Final[dict[str, Plane]] = {
    "XDP, only return": _only_return,
    "remainder, sum": _ours("sum3", "native"),
    "remainder, keyed hash": _ours("hash", "native"),
    "remainder, sum, generic XDP": _ours("sum3", "generic"),
    "IP forwarding": _forward,
    "nftables, netdev, to MAC addresses": _nft(
        "table netdev b {{",
        "  chain i {{",
        '    type filter hook ingress device "l0" priority 0',
        '    {us} ether daddr set {choice} {macs} fwd to "l1"',
        "  }}",
        "}}",
        forwarding=False,
    ),
    "nftables, stateless": _nft(
        "table ip b {{",
        "  chain i {{",
        "    type filter hook prerouting priority raw",
        "    {us} notrack ip daddr set {choice} {servers}",
        "  }}",
        "}}",
        forwarding=True,
    ),
    "nftables, DNAT with conntrack": _nft(
        "table ip b {{",
        "  chain i {{",
        "    type nat hook prerouting priority dstnat",
        "    {us} dnat to {choice} {servers}",
        "  }}",
        "}}",
        forwarding=True,
    ),
}
"""Data plane → how it is set up; the first is what all others are compared with."""
