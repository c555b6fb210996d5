"""While a node runs: said once, written down for ``status``, and never in the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from remainder.diagnose.survey import Place, Survey, survey
from remainder.diagnose.watch import SURVEY_S, Means, Watch
from remainder.errors import HostError
from remainder.fleet import Part
from remainder.kernel import refusal
from remainder.kernel.image import OwnerName
from remainder.kernel.netlink import Interface
from remainder.observe import seen, state
from remainder.plan import Role
from tests.unit.diagnose.segment import Lan, lan
from tests.unit.roles.machine import Machine, back, balancer, web
from tests.warnings import Warned

S1 = ip_address("192.0.2.1")


@dataclass
class Asked:
    """A surveyor that counts, with a segment in memory behind it."""

    where: Lan = field(default_factory=lan)
    surveys: list[bool] = field(default_factory=list)
    error: HostError | None = None

    def survey(self, part: Part, interface: Interface, *, foreign: bool) -> tuple[Place, Survey]:
        del part, interface
        self.surveys.append(foreign)
        if self.error is not None:
            raise self.error
        where = self.where
        return where.place, survey(where.wire(), where.part, where.place, foreign=foreign)


@dataclass
class Watching:
    """A machine with a node on it, and what watches it."""

    machine: Machine
    asked: Asked = field(default_factory=Asked)
    counted: dict[OwnerName, int] = field(default_factory=dict)
    said: Warned = field(default_factory=Warned)
    warned: Warned = field(default_factory=Warned)

    def __post_init__(self) -> None:
        self.running = self.machine.start()
        self.watch = self.anew()

    def anew(self) -> Watch:
        means = Means(
            host=self.machine.host,
            surveyor=self.asked,
            count=self.count,
            start=lambda work: work(),
        )
        return Watch("n", means, say=self.said, warn=self.warned)

    def count(self, node: str, role: Role) -> Mapping[OwnerName, int] | None:
        assert ("n", "balancer") == (node, role)
        return dict(self.counted)

    def look(self, *, after_s: float = 0.0, often: int = 1) -> None:
        for _ in range(often):
            self.machine.kernel.clock_s += after_s
            self.watch.look(self.running.roles)

    def seen(self) -> seen.Seen:
        return seen.read("n", "balancer")


@pytest.fixture
def watching(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watching:
    monkeypatch.setattr(state, "RUN", tmp_path / "run")
    monkeypatch.setattr(refusal, "refuse_old_kernel", lambda _: None)
    machine = Machine(tmp_path)
    machine.write(web(1, 2), balancer())
    return Watching(machine)


def test_a_server_that_falls_silent_is_told_of_and_noted_and_so_is_its_return(
    watching: Watching,
) -> None:
    answers = watching.machine.eth0.answers
    watching.look(after_s=2, often=3)
    answer = answers.pop(S1)
    watching.look(after_s=2, often=5)
    silent = watching.seen().silent_since_s
    answers[S1] = answer
    watching.look(after_s=2, often=5)

    assert ["server-silent"] == watching.warned.ids
    assert "server 's1' (192.0.2.1) no longer answers" in watching.warned[0]
    assert ["server-back"] == watching.said.ids
    assert {"192.0.2.1": 8.0} == silent
    assert {} == watching.seen().silent_since_s


def test_while_the_own_link_is_down_nobody_is_called_silent(watching: Watching) -> None:
    eth0 = watching.machine.eth0
    watching.look()
    eth0.answers.clear()
    eth0.interface = replace(eth0.interface, up=False)
    watching.look(after_s=2, often=9)

    assert [] == watching.warned


def test_the_next_process_knows_who_was_silent(watching: Watching) -> None:
    answer = watching.machine.eth0.answers.pop(S1)
    watching.look(after_s=2, often=5)
    watching.watch = watching.anew()
    watching.look(after_s=2, often=5)
    since = watching.seen().silent_since_s
    watching.machine.eth0.answers[S1] = answer
    watching.look(after_s=2)

    assert ["server-silent"] == watching.warned.ids
    assert {"192.0.2.1": 2.0} == since
    assert ["server-back"] == watching.said.ids


def test_a_sender_names_a_silent_router(watching: Watching) -> None:
    machine = watching.machine
    machine.write(web(1, 2), back("198.51.100.1"))
    watching.running.reload()
    watching.counted.clear()
    machine.eth1.answers.clear()
    means = Means(
        host=machine.host, surveyor=watching.asked, count=lambda *_: None, start=lambda work: work()
    )
    watching.watch = Watch("n", means, say=watching.said, warn=watching.warned)
    watching.look(after_s=3, often=4)

    assert ["server-silent"] == watching.warned.ids
    assert "router 'r1' (198.51.100.1)" in watching.warned[0]
    assert [] == watching.asked.surveys


def test_the_segment_is_asked_at_once_and_then_every_minute(watching: Watching) -> None:
    watching.look()
    watching.look(after_s=2, often=20)
    early = len(watching.asked.surveys)
    watching.look(after_s=SURVEY_S / 10, often=100)

    assert 1 == early
    assert 10 <= len(watching.asked.surveys) - early <= 11
    assert [True] == [foreign for foreign in watching.asked.surveys if foreign]


def test_a_new_server_is_asked_at_once(watching: Watching) -> None:
    watching.look(after_s=2, often=2)
    watching.machine.write(web(1, 2, 3), balancer())
    watching.running.reload()
    watching.look(after_s=2, often=2)

    assert 2 == len(watching.asked.surveys)


def test_what_is_wrong_is_told_once_until_it_was_right_again(watching: Watching) -> None:
    servers = watching.asked.where.machines
    servers[1].answers |= {ip_address("203.0.113.10")}
    watching.look(after_s=SURVEY_S, often=3)
    first = list(watching.warned.ids)
    servers[1].answers -= {ip_address("203.0.113.10")}
    watching.look(after_s=SURVEY_S, often=3)
    servers[1].answers |= {ip_address("203.0.113.10")}
    watching.look(after_s=SURVEY_S, often=3)

    assert ["vip-taken"] == first
    assert 2 * ["vip-taken"] == watching.warned.ids


def test_who_may_not_ask_the_segment_is_still_told_of_silence(watching: Watching) -> None:
    watching.asked.error = HostError("requires CAP_NET_RAW", id="needs-root")
    watching.machine.eth0.answers.pop(S1)
    watching.look(after_s=2, often=5)

    assert ["server-silent"] == watching.warned.ids


def test_the_sample_for_status_is_a_minute_old(watching: Watching) -> None:
    ages = []
    for second in range(0, 200, 2):
        watching.counted["web", "s1"] = second
        watching.look(after_s=2)
        sample = watching.seen().sample
        assert sample is not None
        ages.append(watching.machine.kernel.clock_s - sample.at_s)
        assert sample.at_s - 2 == sample.packets["web"]["s1"]

    assert 60 <= min(ages[40:])
    assert max(ages[40:]) <= 72


def test_a_full_run_ends_nothing(watching: Watching, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(seen, "write", full)
    watching.machine.eth0.answers.pop(S1)
    watching.look(after_s=2, often=5)

    assert ["server-silent"] == watching.warned.ids


def test_an_interface_that_is_gone_ends_nothing(watching: Watching) -> None:
    del watching.machine.kernel.links["eth0"]
    watching.look(after_s=2, often=3)

    assert [] == watching.warned


def test_a_stopped_node_leaves_no_notes(watching: Watching) -> None:
    watching.look()
    noted = seen.path_of("n", "balancer")
    before = noted.exists()
    state.remove("n", "balancer")

    assert before
    assert not noted.exists()
    assert seen.Seen() == watching.seen()
