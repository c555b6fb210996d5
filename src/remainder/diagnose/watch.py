"""While a node runs: who falls silent, what is wrong on the segment, what was counted lately.

``look`` is called every few seconds.  What it reads of this host it reads at once;
asking the segment takes seconds, so that happens in a thread, one at a time.
Rule: nothing here ends or delays what forwards packets; what fails is tried again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final, Protocol

from remainder.diagnose import silence
from remainder.diagnose.problems import WORDS, Problem, problems_of
from remainder.diagnose.silence import Silence
from remainder.diagnose.surveying import Surveyor
from remainder.errors import RemainderError
from remainder.fleet import Part
from remainder.flow import Address
from remainder.kernel.host import Host
from remainder.kernel.image import OwnerName
from remainder.kernel.netlink import Interface
from remainder.messages import Warn
from remainder.observe import seen
from remainder.observe.seen import Sample, Seen
from remainder.plan import Plan, Role

SURVEY_S: Final = 60.0
"""How often the segment is asked."""

FOREIGN_EVERY: Final = 60
"""How often of those with a foreign source: once an hour."""

SAMPLE_S: Final = 10.0
_SAMPLES: Final = 7


class Watched(Protocol):
    """A role that runs, as far as it is looked at."""

    @property
    def part(self) -> Part:
        """What it does."""

    @property
    def role(self) -> Role:
        """Which one it is."""

    @property
    def plan(self) -> Plan:
        """What it calculates."""

    @property
    def interface(self) -> Interface:
        """Where."""


Count = Callable[[str, Role], Mapping[OwnerName, int] | None]
"""(node, role) → packets of each owner; None if they cannot be read."""


def _in_a_thread(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="survey", daemon=True).start()


@dataclass(frozen=True, kw_only=True)
class Means:
    """What it looks with; a test has its own."""

    host: Host
    surveyor: Surveyor
    count: Count
    start: Callable[[Callable[[], None]], None] = _in_a_thread


@dataclass
class _Known:
    """What was seen of a role."""

    silence: Silence = field(default_factory=Silence)
    samples: list[Sample] = field(default_factory=list)
    written: Seen | None = None
    asked_s: float | None = None
    asked: frozenset[tuple[Address, Address]] = frozenset()
    surveys: int = 0
    problems: set[Problem] = field(default_factory=set)


class Watch:
    """Looks at what runs, and says what is wrong once, until it is over."""

    def __init__(self, node: str, means: Means, *, say: Warn, warn: Warn) -> None:
        self._node, self._host, self._means = node, means.host, means
        self._say, self._warn = say, warn
        self._known: dict[Role, _Known] = {}
        self._asking = threading.Lock()

    def look(self, roles: Iterable[Watched]) -> None:
        """Look at every role; quick."""
        due = []
        for role in list(roles):
            known = self._known.get(role.role) or self._recall(role.role)
            try:
                self._look_for_silence(role, known)
            except (RemainderError, OSError):
                continue  # the interface is gone, or the kernel busy: next time
            self._sample(role, known)
            self._write(role.role, known)
            if self._is_due(role, known):
                due.append((role.part, role.interface, known))
        if due and self._asking.acquire(blocking=False):
            try:
                self._means.start(lambda: self._ask(due))
            except RuntimeError:  # no thread to be had: next time
                self._asking.release()

    # -- what this host knows -------------------------------------------------------

    def _recall(self, role: Role) -> _Known:
        """What the process before wrote down."""
        noted, now_s = seen.read(self._node, role), self._host.now_s()
        known = self._known[role] = _Known()
        known.silence.recall(
            {ip_address(text): since_s for text, since_s in noted.silent_since_s.items()}
        )
        sample = seen.fresh(noted.sample, now_s)
        known.samples = [sample] if sample is not None else []
        return known

    def _look_for_silence(self, role: Watched, known: _Known) -> None:
        names: dict[Address, str] = {}
        for _, name, address in role.plan.reached:
            names.setdefault(address, name)
        now = self._host.interface_at(role.interface.index)
        if not names or not (now.up and now.carrier):
            return
        found = self._host.neighbours(now.segment)
        gone, back = known.silence.look(names, found, self._host.now_s())
        word = WORDS[role.role]
        if gone:
            self._warn(silence.sentence(gone, names, word, back=False), id="server-silent")
        if back:
            self._say(silence.sentence(back, names, word, back=True), id="server-back")

    def _sample(self, role: Watched, known: _Known) -> None:
        now_s = self._host.now_s()
        if known.samples and now_s - known.samples[-1].at_s < SAMPLE_S:
            return
        counted = self._means.count(self._node, role.role)
        if counted is not None:
            known.samples = [*known.samples, Sample.of(now_s, counted)]
            while len(known.samples) > 1 and now_s - known.samples[1].at_s >= seen.MINUTE_S:
                del known.samples[0]

    def _write(self, role: Role, known: _Known) -> None:
        now = Seen(
            silent_since_s={
                str(address): since_s for address, since_s in known.silence.lasting.items()
            },
            sample=known.samples[0] if known.samples else None,
        )
        if now == known.written:
            return
        try:
            seen.write(self._node, role, now)
        except OSError:
            return  # what /run lacks is told where the state is written
        known.written = now

    # -- what the segment says --------------------------------------------------------

    def _is_due(self, role: Watched, known: _Known) -> bool:
        """Every minute; at once if there are servers or VIPs that were never asked."""
        # Who answers for the VIPs is for balancers and members to watch.
        if role.role in ("sender", "server") or not role.plan.vips:
            return False
        if not (role.interface.up and role.interface.carrier):
            return False
        now_s, served = self._host.now_s(), _served(role.plan)
        new = bool(served - known.asked)
        return new or known.asked_s is None or now_s - known.asked_s >= SURVEY_S

    def _ask(self, due: list[tuple[Part, Interface, _Known]]) -> None:
        try:
            for part, interface, known in due:
                known.asked_s, known.asked = self._host.now_s(), _served(part.plan)
                foreign = known.surveys % FOREIGN_EVERY == 0
                known.surveys += 1
                try:
                    place, found = self._means.surveyor.survey(part, interface, foreign=foreign)
                except (RemainderError, OSError):
                    continue  # not allowed, or the interface is gone
                self._tell(known, set(problems_of(part, place, found)), foreign=foreign)
        finally:
            self._asking.release()

    def _tell(self, known: _Known, problems: set[Problem], *, foreign: bool) -> None:
        if not foreign:  # not asked, so still as it was
            problems |= {problem for problem in known.problems if problem.id == "source-filtered"}
        for problem in sorted(problems - known.problems, key=lambda item: item.sentence):
            self._warn(problem.sentence, id=problem.id)
        known.problems = problems


def _served(plan: Plan) -> frozenset[tuple[Address, Address]]:
    """(address, VIP) of every server; of a member each VIP alone."""
    vips = {planned.name: planned.choice.match.address for planned in plan.choices}
    served = {(address, vips[service]) for service, _, address in plan.reached}
    return frozenset(served | {(vip, vip) for vip in plan.vips})
