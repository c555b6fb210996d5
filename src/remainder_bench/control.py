"""How fast is the control plane: from a start, from a change of the file, from cold?

Every figure is the median of a few trials.  The start happens in a lab.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from ipaddress import ip_address
from pathlib import Path
from threading import Thread
from typing import Any, Final

from remainder.config import Config, Server, Service
from remainder.kernel import dataplane, image
from remainder.kernel.oracle import made_up_macs
from remainder.plan import Plan, make_plan
from remainder.selection import maglev, walk
from remainder.sources.file import loads
from remainder_bench.cases import PORT, SECRET
from remainder_bench.first_packet import first_answer_at_s
from remainder_bench.machine import Machine, this_machine
from remainder_bench.report import facts_text, machine_facts
from remainder_lab import Host, OneService, one_service

TRIALS: Final = 5
SERVERS: Final = 1_000
SERVICES: Final = 1_000
SERVICES_IN_FILE: Final = 10_000
_HASH: Final = "hash(src_ip, src_port, dst_ip, dst_port, protocol)"
_SUM: Final = "src_ip + dst_ip + dst_port"

FILE: Final = """\
[[service]]
name     = "web"
vip      = "203.0.113.10"
port     = 80
protocol = "tcp"
key      = "src_ip + dst_ip + dst_port"
table    = "maglev"
servers  = [ { name = "s1", address = "192.0.2.11" }, { name = "s2", address = "192.0.2.12" } ]
"""


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing that takes time or room."""

    name: str
    value: float
    unit: str


@dataclass(frozen=True, slots=True)
class Control:
    """All figures of one run."""

    machine: Machine
    figures: tuple[Figure, ...]


def measure() -> Control:
    """Take every figure; needs root, and makes a lab for a while."""
    figures = [*_loading(), *_tables(), *_cold(), *_start()]
    return Control(this_machine("control plane"), tuple(figures))


def as_plain(control: Control) -> dict[str, Any]:
    """For programs."""
    return asdict(control)


def as_text(control: Control) -> str:
    """For people."""
    wide = max(len(figure.name) for figure in control.figures)
    return "\n".join(
        [
            *facts_text(machine_facts(control.machine)),
            "",
            *(f"{item.name:<{wide}}  {item.value:>9.1f} {item.unit}" for item in control.figures),
        ]
    )


def large_config(*, services: int, servers: int, key: str, table: str) -> Config:
    """A file of this size."""
    first = {"vip": ip_address("198.19.0.0"), "server": ip_address("198.18.0.1")}
    owners = [
        Server(name=f"s{number}", address=str(first["server"] + number))
        for number in range(servers)
    ]
    return Config(
        secret=SECRET,
        service=[
            Service(
                name=f"w{number}", vip=str(first["vip"] + number), port=PORT, protocol="tcp",
                key=key, table=table, servers=owners,
            )
            for number in range(services)
        ],
    )  # fmt: skip


def large_file(*, services: int, servers: int) -> str:
    """The text of a file of this size; no two services share a server."""
    first = {"vip": ip_address("198.18.0.0"), "server": ip_address("10.0.0.1")}
    sections = []
    for number in range(services):
        owners = ",\n".join(
            f'  {{ name = "s{at}", address = "{first["server"] + servers * number + at}" }}'
            for at in range(servers)
        )
        sections.append(
            f'[[service]]\nname = "w{number}"\nvip = "{first["vip"] + number}"\nport = {PORT}\n'
            f'protocol = "tcp"\nkey = "{_SUM}"\ntable = "modulo"\nservers = [\n{owners}\n]\n'
        )
    return "\n".join(sections)


def _loading() -> list[Figure]:
    text = large_file(services=SERVICES_IN_FILE, servers=4)
    return [
        Figure(
            f"load of a file of {SERVICES_IN_FILE:,} services × 4 servers",
            _median_ms(lambda: loads(text)),
            "ms",
        )
    ]


def _median_ms(work: Callable[[], object], *, before: Callable[[], object] = lambda: None) -> float:
    """The time of ``work``; ``before`` goes ahead of each trial and is not timed."""
    took = []
    for _ in range(TRIALS):
        before()
        begun_s = time.perf_counter()
        work()
        took.append(time.perf_counter() - begun_s)
    return statistics.median(took) * 1000


def _tables() -> list[Figure]:
    names = [f"s{number}" for number in range(SERVERS)]
    large = large_config(services=1, servers=SERVERS, key=_HASH, table="maglev")
    many = large_config(services=SERVICES, servers=4, key=_SUM, table="modulo")
    return [
        Figure(
            f"fill of a Maglev table, {maglev.DEFAULT_SLOTS:,} slots × {SERVERS:,} servers"
            f"{', uncompiled' * walk.__file__.endswith('.py')}",
            _median_ms(lambda: maglev.table([1] * SERVERS, names)),
            "ms",
        ),
        *_publication(f"{maglev.DEFAULT_SLOTS:,} slots × {SERVERS:,} servers", large),
        *_publication(f"{SERVICES:,} services × 4 servers", many),
    ]


def _publication(name: str, config: Config) -> list[Figure]:
    """From a new file in memory to packets that see it, and to the next one."""
    plan = make_plan(config)
    loaded = dataplane.load(image.capacity_for(plan), image.features_of(plan))
    numbers, _ = image.allocate_counters(plan, {})
    macs = made_up_macs(plan)
    tables = loaded.tables()

    def publish(plan: Plan) -> None:
        tables.publish(image.image_of(plan, loaded.capacity, counters=numbers, macs=macs))

    def publish_and_wait() -> None:
        publish(make_plan(config))
        tables.wait_for_readers()

    def timed(work: Callable[[], object]) -> float:
        return _median_ms(work, before=tables.wait_for_readers)

    try:
        return [
            Figure(f"plan of {name}", _median_ms(lambda: make_plan(config)), "ms"),
            Figure(f"publication of {name}, planned", timed(lambda: publish(plan)), "ms"),
            Figure(
                f"publication of {name}, plan included",
                timed(lambda: publish(make_plan(config))),
                "ms",
            ),
            Figure("  until no packet reads the tables before", timed(publish_and_wait), "ms"),
        ]
    finally:
        tables.wait_for_readers()
        loaded.close()


def _cold() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "remainder.toml"
        path.write_text(FILE, encoding="utf-8")
        commands = {
            "where, from cold": ["where", str(path), "198.51.100.7:1234", "203.0.113.10:80"],
            "check --no-host, from cold": ["check", str(path), "--no-host"],
            "check with this host, from cold": ["check", str(path)],
            "check with this host and an interface": ["check", str(path), "--interface", "lo"],
        }
        return [
            Figure(name, _median_ms(lambda words=words: _run(words)), "ms")  # type: ignore[misc]
            for name, words in commands.items()
        ]


def _run(words: list[str]) -> None:
    subprocess.run([sys.executable, "-m", "remainder", *words], check=True, capture_output=True)


def _start() -> list[Figure]:
    with one_service() as scene, tempfile.TemporaryDirectory() as folder:
        scene.start_servers(["s1"])
        path = Path(folder) / "remainder.toml"
        path.write_text(scene.config_text(servers=["s1"]), encoding="utf-8")
        ready_s, first_s, process_id = _started(scene, scene.clients, path)
        return [
            Figure("start to ready", ready_s * 1000, "ms"),
            Figure("start to the first packet answered", first_s * 1000, "ms"),
            Figure("resident memory of run", resident_mib(process_id), "MiB"),
        ]


def _started(scene: OneService, clients: Host, path: Path) -> tuple[float, float, int]:
    """(seconds to ready, seconds to the first answer, process)."""
    answered: list[float] = []

    def ask() -> None:
        answered.append(clients.call(first_answer_at_s, scene.vips[4], 7))

    asking = Thread(target=ask, daemon=True)
    asking.start()
    begun_s = time.monotonic()
    process = scene.start_balancer(path)
    ready_s = time.monotonic() - begun_s
    asking.join()
    return ready_s, answered[0] - begun_s, process.pid


def resident_mib(process_id: int) -> float:
    """What the kernel says a process holds in memory."""
    for line in Path(f"/proc/{process_id}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0
