"""What ``demo`` shows, without its presentation: real traffic, and what the servers counted.

Claims: 2-5, 13, 17.
Rule: every number comes from the servers' own counters (witness.py) or from
what a client saw; the balancer's own counters are only compared with them.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from remainder.observe.report import report
from remainder.plan import Decision, Plan, make_plan
from remainder.sources.file import load
from remainder_lab.balanced import Balanced
from remainder_lab.patience import patient
from remainder_lab.running import Running
from remainder_lab.traffic import Session, hold_sessions, http_sessions, udp_exchanges
from remainder_lab.witness import Witness, sessions_at, torn

TCP_SESSIONS: Final = 100
UDP_EXCHANGES: Final = 50
HELD_SESSIONS: Final = 100
LOOK_S: Final = 0.2


@dataclass(frozen=True, kw_only=True)
class Formula:
    """A key and a table to show."""

    title: str
    key: str
    table: str
    remark: str


CLAIMS: Final = (
    "Remainder implements the 48 claims of US patent 6,987,763, now expired (CLAIMS.md lists where "
    "each is kept); 13 and 17 are formulas for the server of a packet."
)
"""Explains the claim numbers to first-time viewers."""

FORMULAS: Final = (
    Formula(
        title="Claim 13",
        key="src_ip + dst_ip + dst_port",
        table="modulo",
        remark="a client always reaches the same server, whatever its port",
    ),
    Formula(
        title="Claim 17",
        key="src_ip + src_port + dst_ip + dst_port + protocol",
        table="modulo",
        remark="each session of a client may reach another server",
    ),
    Formula(
        title="Claim 17's sum, Maglev's table",
        key="src_ip + src_port + dst_ip + dst_port + protocol",
        table="maglev",
        remark="65,537 slots: a change of servers moves little more than the minimum",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Shown:
    """The traffic of one formula, and its results."""

    formula: Formula
    slots: int
    sessions: int
    clients: int
    failed: int
    torn: int  # sessions whose packets reached more than one server
    misdirected: int  # sessions that met another server than the calculation names
    packets: Mapping[str, int]  # server → packets that its witness counted
    sessions_of: Mapping[str, int]  # server → sessions that its witness saw
    example: Decision

    @property
    def ok(self) -> bool:
        """Nothing failed, every packet was where it should be."""
        return not (self.failed or self.torn or self.misdirected)


@dataclass(frozen=True, kw_only=True)
class Killed:
    """The traffic while the data plane ran without a process, and its results."""

    alone_s: float
    forwarded_alone: int  # packets that the kernel forwarded without a process
    held: int
    requests: int
    short: int
    failed: int
    longest_wait_s: float

    @property
    def ok(self) -> bool:
        """No session noticed."""
        return not self.failed and self.forwarded_alone > 0


Look = Callable[[Mapping[str, int]], None]
"""Called again and again with server → packets so far."""


def show_formula(
    scene: Balanced,
    path: Path,
    formula: Formula,
    *,
    witnesses: Mapping[str, Witness],
    look: Look,
) -> Shown:
    """Publish a formula to the running balancer, send traffic, and count at the servers."""
    path.write_text(scene.config_text(key=formula.key, table=formula.table), encoding="utf-8")
    plan = make_plan(load(path))
    wait_until_published(scene, plan)
    for witness in witnesses.values():
        witness.forget()
    with ThreadPoolExecutor(1) as pool:
        traffic = pool.submit(_traffic, scene)
        while not traffic.done():
            time.sleep(LOOK_S)
            look(_packets(witnesses))
        sessions = traffic.result()
    time.sleep(0.1)
    look(_packets(witnesses))
    return _judge(plan, formula, sessions, witnesses)


def _traffic(scene: Balanced) -> list[Session]:
    sessions: list[Session] = []
    for version in scene.versions:
        sources = scene.client_addresses[version]
        sessions += http_sessions(
            scene.clients, scene.web(version), sources=sources, sessions=TCP_SESSIONS
        )
        sessions += udp_exchanges(
            scene.clients, scene.echo(version), sources=sources, flows=UDP_EXCHANGES
        )
    return sessions


def _judge(
    plan: Plan, formula: Formula, sessions: list[Session], witnesses: Mapping[str, Witness]
) -> Shown:
    seen = sessions_at(witnesses.values())
    ours = {item.flow: seen.get(item.flow, {}) for item in sessions if item.ok}
    packets: Counter[str] = Counter(dict.fromkeys(witnesses, 0))
    sessions_of: Counter[str] = Counter(dict.fromkeys(witnesses, 0))
    for servers in ours.values():
        for server, count in servers.items():
            packets[server] += count
            sessions_of[server] += 1
    return Shown(
        formula=formula,
        slots=plan.choices[0].slots,
        sessions=len(sessions),
        clients=len({item.flow.src_ip for item in sessions if item.ok}),
        failed=sum(not item.ok for item in sessions),
        torn=len(torn(ours)),
        misdirected=sum({plan.where(flow).owner} != set(at) for flow, at in ours.items()),
        packets=packets,
        sessions_of=sessions_of,
        example=plan.where(next(iter(ours))),
    )


def show_kill(
    scene: Balanced,
    path: Path,
    process: Running,
    *,
    witnesses: Mapping[str, Witness],
    look: Look,
) -> Killed:
    """kill -9 under traffic; the data plane keeps running, then a new process takes it over."""
    sources = scene.client_addresses[4]
    with (
        hold_sessions(
            scene.clients, scene.web(), sources=sources, sessions=HELD_SESSIONS, interval_s=0.1
        ) as held,
        ThreadPoolExecutor(1) as pool,
    ):
        _watch_for(1.0, witnesses, look)
        process.kill()
        process.wait(5)
        begun_s, before = time.monotonic(), _forwarded(scene)
        short = pool.submit(
            http_sessions, scene.clients, scene.web(), sources=sources, sessions=TCP_SESSIONS
        )
        _watch_for(1.5, witnesses, look)
        sessions = short.result()
        alone_s, forwarded = time.monotonic() - begun_s, _forwarded(scene) - before
        scene.start_balancer(path, "--mode", "native")
        _watch_for(1.0, witnesses, look)
        opened = held.stop()
    everything = [*opened, *sessions]
    return Killed(
        alone_s=alone_s,
        forwarded_alone=forwarded,
        held=len(opened),
        requests=sum(item.requests for item in opened),
        short=len(sessions),
        failed=sum(not item.ok for item in everything) + HELD_SESSIONS - len(opened),
        longest_wait_s=max(item.longest_wait_s for item in everything),
    )


def wait_until_published(scene: Balanced, plan: Plan, timeout_s: float = 10.0) -> None:
    """Return when the balancer's tables are those of the plan."""
    deadline_s = time.monotonic() + patient(timeout_s)
    while report(scene.node)["fingerprint"]["tables"] != plan.fingerprint:
        if time.monotonic() > deadline_s:
            raise TimeoutError("the balancer did not publish the new file")
        time.sleep(0.05)


def _watch_for(seconds: float, witnesses: Mapping[str, Witness], look: Look) -> None:
    deadline_s = time.monotonic() + seconds
    while time.monotonic() < deadline_s:
        time.sleep(LOOK_S)
        look(_packets(witnesses))


def _packets(witnesses: Mapping[str, Witness]) -> dict[str, int]:
    return {name: sum(witness.packets().values()) for name, witness in witnesses.items()}


def _forwarded(scene: Balanced) -> int:
    return int(report(scene.node)["outcomes"]["forwarded"]["packets"])
