"""Benchmark the shipped program and the reference programs in memory (BPF_PROG_TEST_RUN).

In every round each program runs right after the one that only returns, with
the same packets; their difference is the net time.
Rule: a number counts only if every packet of it had the outcome that the
reference model names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol

from remainder.flow import Address, Flow
from remainder.kernel import counters, dataplane, image, libbpf
from remainder.kernel.dataplane import Dataplane
from remainder.kernel.oracle import OWN_MAC, made_up_macs
from remainder.outcome import Outcome
from remainder.plan import Plan
from remainder.reference import Node, process
from remainder_bench.cases import CLIENT_PORT, FIRST_VIP, FLOWS, PORT, Subject
from remainder_bench.packets import CLIENT, ack, template_of
from remainder_bench.report import Row
from remainder_bench.stopwatch import EVERY_PACKET_NEW, Lap, Template, load_peers

ROUNDS: Final = 9
COPIES: Final = 3
"""Each program is loaded so often, and the rounds take turns: where the kernel happens to put
its code changes its time by up to a nanosecond, for as long as it is loaded."""

_ROOM: Final = 1 << 16
"""Sessions that the remembering program has room for at least."""


class Watch(Protocol):
    """What measuring needs of a Stopwatch."""

    def one(self, program_fd: int, template: Template) -> tuple[str, bytes]:
        """A single packet."""

    def run(self, program_fd: int, template: Template, *, flows: int) -> Lap:
        """Many packets."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A program as loaded once."""

    program_fd: int
    counted: Callable[[], dict[Outcome, int]] = dict
    """its own counters; none for a program that is not ours"""


@dataclass
class Trial:
    """A program with its packets, on the way to a Row."""

    name: str
    copies: Sequence[Copy]
    template: Template
    flows: int
    outcome: str
    verdict: str
    after: bytes | None = None
    """the frame that must come out; None: anything"""
    net_ns: list[float] = field(default_factory=list)
    floor_ns: list[float] = field(default_factory=list)
    packets: int = 0
    faults: list[str] = field(default_factory=list)


def measure(
    watch: Watch,
    only_return: Sequence[int],
    trials: Sequence[Trial],
    *,
    rounds: int = ROUNDS,
    told: Callable[[int], None] = lambda _: None,
) -> list[Row]:
    """Run the rounds; ``told`` hears the number of each round that is done.

    ``only_return`` are the copies of the program that only returns.
    """
    for trial in trials:
        for copy in trial.copies:
            _try_one(watch, trial, copy)
            _warm(watch, trial, copy)
    for done in range(1, rounds + 1):
        for trial in trials:
            least = only_return[done % len(only_return)]
            floor = watch.run(least, trial.template, flows=trial.flows)
            lap = _lap(watch, trial, trial.copies[done % len(trial.copies)])
            trial.floor_ns.append(floor.ns)
            trial.net_ns.append(lap.ns - floor.ns)
        told(done)
    return [
        Row(
            name=trial.name,
            net_ns=tuple(trial.net_ns),
            floor_ns=tuple(trial.floor_ns),
            outcome=trial.outcome,
            packets=trial.packets,
            instructions=libbpf.program_size(trial.copies[0].program_fd),
            fault="; ".join(dict.fromkeys(trial.faults)) or None,
        )
        for trial in trials
    ]


def _try_one(watch: Watch, trial: Trial, copy: Copy) -> None:
    verdict, after = watch.one(copy.program_fd, trial.template)
    if verdict != trial.verdict:
        trial.faults.append(_other_verdict(verdict, trial))
    elif trial.after is not None and after != trial.after:
        trial.faults.append("the frame that comes out is not the reference model's")


def _warm(watch: Watch, trial: Trial, copy: Copy) -> None:
    """Let a program that remembers meet every flow, and all others fill the caches."""
    wanted = trial.flows if trial.flows != EVERY_PACKET_NEW else 1
    begun = trial.packets
    while trial.packets - begun < wanted:
        _lap(watch, trial, copy)


def _lap(watch: Watch, trial: Trial, copy: Copy) -> Lap:
    before = copy.counted()
    lap = watch.run(copy.program_fd, trial.template, flows=trial.flows)
    moved = {
        str(outcome): count - before[outcome]
        for outcome, count in copy.counted().items()
        if count != before[outcome]
    }
    trial.packets += lap.packets
    if before and moved != {trial.outcome: lap.packets}:
        trial.faults.append(
            f"{lap.packets:,} packets should have been {trial.outcome}, counted was {moved}"
        )
    if lap.verdict != trial.verdict:
        trial.faults.append(_other_verdict(lap.verdict, trial))
    return lap


def _other_verdict(verdict: str, trial: Trial) -> str:
    """Alike for one packet and for many, so that a fault is reported once."""
    return f"the verdict is {verdict}, expected {trial.verdict}"


@contextmanager
def trials_of(subjects: Sequence[Subject]) -> Iterator[list[Trial]]:
    """The shipped program as loaded for each plan, with its packets."""
    with ExitStack() as stack:
        loaded: dict[tuple[int, int | None], list[Copy]] = {}
        for subject in subjects:
            if (id(subject.plan), subject.vlan) not in loaded:
                programs = [load(subject.plan, vlan=subject.vlan) for _ in range(COPIES)]
                for program in programs:
                    stack.callback(program.close)
                loaded[id(subject.plan), subject.vlan] = [_copy(program) for program in programs]
        yield [_trial(subject, loaded[id(subject.plan), subject.vlan]) for subject in subjects]


def load(
    plan: Plan, *, macs: Mapping[Address, bytes] | None = None, vlan: int | None = None
) -> Dataplane:
    """The program as it runs for a file, on a VLAN if one is given; attached to nothing.

    Where no MAC addresses of servers are given, they are made up; that of the host is always.
    """
    capacity = image.capacity_for(plan)
    loaded = dataplane.load(capacity, dataplane.features_for(plan, mtu=0, vlan=vlan))
    numbers, _ = image.allocate_counters(plan, {})
    tables = loaded.tables()
    tables.set_own_mac(OWN_MAC)
    tables.set_vlan(vlan)
    known = made_up_macs(plan) if macs is None else macs
    tables.publish(image.image_of(plan, capacity, counters=numbers, macs=known))
    return loaded


def _copy(loaded: Dataplane) -> Copy:
    outcomes = loaded.maps["outcomes"]
    return Copy(
        loaded.program_fd,
        counted=lambda: {
            outcome: counters.read(outcomes, number).packets
            for number, outcome in enumerate(Outcome)
        },
    )


def _trial(subject: Subject, copies: Sequence[Copy]) -> Trial:
    frame = subject.template.frame
    node = Node(mac=OWN_MAC, macs=made_up_macs(subject.plan), vlan=subject.vlan)
    result = process(subject.plan, node, frame)
    return Trial(
        name=subject.name,
        copies=copies,
        template=subject.template,
        flows=subject.flows,
        outcome=str(result.outcome),
        verdict=result.outcome.verdict,
        after=result.frame or frame,
    )


def reference_name(program: str, flows: str) -> str:
    """``parse-only/4k``: how the row of a reference program is called."""
    return f"{program.replace('_', '-')}/{flows}"


@contextmanager
def reference_trials(
    kinds: Sequence[tuple[str, str]],
) -> Iterator[tuple[list[int], list[Trial]]]:
    """(copies of the program that only returns, trials of the others).

    ``kinds`` are (program, flows): ``("remember", "1M")``.  Each that
    remembers has a table of its own, with room for all its flows.
    """
    template = template_of(ack(Flow(CLIENT[4], CLIENT_PORT, FIRST_VIP[4], PORT, 6)))
    with ExitStack() as stack:
        plain = [load_peers(sessions=1) for _ in range(COPIES)]
        for peers in plain:
            stack.callback(peers.close)
        trials = []
        for program, flows in kinds:
            loaded = plain
            if program == "remember":  # once: it is the table that takes the time
                room = max(2 * min(FLOWS[flows], FLOWS["1M"]), _ROOM)
                loaded = [load_peers(sessions=room)]
                stack.callback(loaded[0].close)
            trials.append(
                Trial(
                    name=reference_name(program, flows),
                    copies=[Copy(getattr(peers, program)) for peers in loaded],
                    template=template,
                    flows=FLOWS[flows],
                    outcome="tx",
                    verdict="tx",
                )
            )
        yield [peers.only_return for peers in plain], trials


def foreign_trials(program_fd: int, frame: bytes, verdict: str) -> list[Trial]:
    """Any other loaded XDP program, with one kind of packet, over all numbers of flows."""
    template = template_of(frame)
    return [
        Trial(
            name=f"program/{flows}",
            copies=[Copy(program_fd)],
            template=template,
            flows=number,
            outcome=verdict,
            verdict=verdict,
        )
        for flows, number in FLOWS.items()
    ]
