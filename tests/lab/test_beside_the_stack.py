"""The life of programs before and behind the stack: through tcx, and through clsact before 6.6.

A node that is a member and a sender has one of each: the member's companion on
ingress, the sender's program on egress.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from pyroute2 import IPRoute

from remainder.fleet import parts_of
from remainder.kernel import clsact, dataplane, image, pins
from remainder.kernel.counters import outcomes
from remainder.kernel.dataplane import Dataplane
from remainder.observe import state
from remainder.plan import Role
from remainder.roles.node import detach
from remainder.sources.file import load
from remainder_lab import End, Host, Running, Wire
from remainder_lab.patience import patient
from tests.lab.before_tcx import command
from tests.lab.straight import no_program

pytestmark = [pytest.mark.root, pytest.mark.bpf]

WAYS = ["tcx", "clsact"]
ROLES: tuple[Role, ...] = ("member", "sender")


@dataclass
class Site:
    """A node beside its router, and a file in which it is member and sender."""

    node: Host
    router: Host
    file: Path

    @property
    def name(self) -> str:
        return self.node.namespace

    def write(self, *, hashed: bool = False, sender: str | None = None) -> Path:
        """The file; with another sender a file of its own."""
        file = self.file if sender is None else self.file.with_name(f"{sender}.toml")
        key = "hash(src_ip, src_port)" if hashed else "src_ip + src_port"
        choice = f'key = "{key}"\ntable = "modulo"\n'
        file.write_text(
            'secret = "8f1d0c5ab3e27946d1f0a86e35bc9247"\n'
            f'[[cluster]]\nname = "tier"\naddress = "any"\n{choice}'
            f'members = [{{ name = "{self.name}", interface = "eth0", mode = "generic" }}]\n\n'
            f'[[return_path]]\nname = "back"\n{choice}others = true\n'
            f'routers = [{{ name = "r1", address = "192.0.2.1" }}]\n'
            f'senders = [{{ name = "{sender or self.name}", interface = "eth0" }}]\n'
        )
        return file

    def start(self, way: str, *, ready: bool = True) -> Running:
        process = self.node.popen(
            command(way, "run", str(self.file), "--node", self.name), title=f"run {self.name}"
        )
        if ready:
            process.wait_for("ready", timeout_s=30)
        return process

    def programs(self) -> dict[str, int | None]:
        """What runs at each place, by the kernel and the pins alone."""
        found: dict[str, int | None] = {}
        for role, place in zip(ROLES, ("ingress", "egress"), strict=True):
            attached = pins.find(self.name, role)
            if attached is not None and attached.ifindex:
                hook = attached.companion if place == "ingress" else attached.link
                assert hook is not None
                found[place] = hook.target()[0]
                attached.close()
        return found

    def filters(self) -> dict[str, int | None]:
        """The programs of our filters, as the interface has them."""
        index = self.node.interface("eth0").index
        return {
            place: self.node.call(clsact.program_at, index, place)
            for place in ("ingress", "egress")
        }

    def qdiscs(self) -> list[str]:
        """Kinds that stand on the interface."""
        return self.node.netlink(_qdiscs)

    def traces(self) -> list[str]:
        """Pins and notes."""
        return [
            *map(str, pins.BPFFS.glob(f"remainder/{self.name}*")),
            *map(str, state.RUN.glob(f"{self.name}[@.]*")),
        ]

    def answers(self) -> bool:
        """Whether a packet gets in and one gets out: nobody listens, so the stack says no."""
        return self.router.call(_is_refused, ("192.0.2.11", 9))

    def seen_by_sender(self) -> int:
        return _packets(self.name)


def _is_refused(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=5).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


def _packets(name: str) -> int:
    attached = pins.find(name, "sender")
    assert attached is not None
    seen = sum(count.packets for count in outcomes(attached.dataplane.maps).values())
    attached.close()
    return seen


def _qdiscs(ip: IPRoute) -> list[str]:
    index = ip.link_lookup(ifname="eth0")[0]
    return sorted(
        found.get("kind")
        for found in ip.get_qdiscs(index=index)
        if found["index"] == index and found.get("kind") != "noqueue"
    )


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A node that is wired to its router; nothing runs on it yet."""
    with ExitStack() as stack:
        node, router = (stack.enter_context(Host(name)) for name in ("n1", "r1"))
        stack.enter_context(_wire(node, router))
        built = Site(node, router, tmp_path / "r.toml")
        built.write()
        yield built
        for role in ROLES:  # what a failed test leaves
            pins.remove(built.name, role)
            state.remove(built.name, role)


def _wire(node: Host, router: Host) -> Wire:
    addresses = {
        host: [f"192.0.2.{last}/24", f"2001:db8:2::{last}/64"]
        for host, last in ((node, 11), (router, 1))
    }
    ends = [End(host=host, interface="eth0", addresses=addresses[host]) for host in addresses]
    return Wire(*ends, pass_all=no_program)


# -- both ways --------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_a_node_that_ends_leaves_nothing_on_its_interface(site: Site, way: str) -> None:
    before = site.qdiscs()
    process = site.start(way)
    running, filters, qdiscs = site.programs(), site.filters(), site.qdiscs()
    status = site.node.run(command(way, "status", "--node", site.name, "--json"))
    modes = {node["role"]: node["mode"] for node in json.loads(status.stdout)["nodes"]}
    passed = site.answers()
    process.terminate()

    assert passed
    assert {"ingress", "egress"} == running.keys()
    assert None not in running.values()
    assert {"member": "generic", "sender": way} == modes
    assert f"sender on eth0 ({way} egress)" in "\n".join(process.lines)
    assert (running if way == "clsact" else {"ingress": None, "egress": None}) == filters
    assert ([*before, "clsact"] if way == "clsact" else before) == qdiscs
    assert {"ingress": None, "egress": None} == site.filters()
    assert before == site.qdiscs()
    assert [] == site.traces()


@pytest.mark.parametrize("way", WAYS)
def test_programs_outlive_their_process_and_are_adopted(site: Site, way: str) -> None:
    """kill -9: the same programs go on, and count on under the next process."""
    site.start(way).kill()
    alone, before = site.programs(), site.seen_by_sender()
    passed = site.answers()
    counted = site.seen_by_sender()
    again = site.start(way)
    adopted = site.programs()
    after = site.seen_by_sender()
    again.terminate()

    assert passed
    assert {"ingress", "egress"} == alone.keys()
    assert alone == adopted
    assert before < counted <= after
    assert not any("afresh" in line for line in again.lines)
    assert [] == site.traces()


@pytest.mark.parametrize("way", WAYS)
def test_another_program_takes_the_place_of_the_one_that_runs(site: Site, way: str) -> None:
    """A file with a hash takes other code: published by a process that follows, and by the next."""
    process = site.start(way)
    first = site.programs()
    site.write(hashed=True)
    process.wait_for("published")
    followed, filters = site.programs(), site.filters()
    process.kill()
    site.write()
    process = site.start(way)
    adopted = site.programs()
    passed = site.answers()
    process.terminate()

    assert passed
    assert not set(first.values()) & set(followed.values())
    assert not set(followed.values()) & set(adopted.values())
    assert {"ingress", "egress"} == adopted.keys()
    assert (followed if way == "clsact" else {"ingress": None, "egress": None}) == filters
    assert not any("afresh" in line for line in process.lines)
    assert [] == site.traces()


@pytest.mark.parametrize("way", WAYS)
def test_detach_takes_away_what_a_killed_process_left(site: Site, way: str) -> None:
    before = site.qdiscs()
    site.start(way).kill()
    left = site.programs()
    done = site.node.run(command(way, "detach", "--node", site.name))

    assert {"ingress", "egress"} == left.keys()
    assert (0, "detached\n", "") == (done.returncode, done.stdout, done.stderr)
    assert {"ingress": None, "egress": None} == site.filters()
    assert before == site.qdiscs()
    assert [] == site.traces()


@pytest.mark.parametrize("way", WAYS)
def test_what_runs_is_found_and_taken_away_from_another_namespace(site: Site, way: str) -> None:
    """The BPF file system is one for all of them, interfaces are not."""
    before = site.qdiscs()
    site.start(way).kill()
    ifindex = site.node.interface("eth0").index
    for role in ROLES:
        attached = site.router.call(pins.find, site.name, role)
        assert attached is not None
        assert ifindex == attached.ifindex
        attached.close()
        site.router.call(pins.remove, site.name, role)

    assert {"ingress": None, "egress": None} == site.filters()
    assert before == site.qdiscs()


@pytest.mark.parametrize("way", WAYS)
def test_an_interface_that_is_gone_takes_its_programs_with_it(site: Site, way: str) -> None:
    """The process waits, and attaches to the next interface of that name."""
    process = site.start(way)
    site.node.netlink(_delete)
    process.wait_for("warning: interface eth0 disappeared")
    gone = site.programs()
    with _wire(site.node, site.router):
        process.wait_for("warning: eth0 is back")
        until_s = time.monotonic() + patient(5)
        while (running := site.programs()).keys() != {"ingress", "egress"}:
            assert time.monotonic() < until_s
            time.sleep(0.05)
        process.terminate()

    assert {} == gone
    assert {"ingress", "egress"} == running.keys()
    assert [] == site.traces()


@pytest.mark.parametrize("way", WAYS)
def test_a_namespace_that_is_gone_leaves_only_names_which_detach_forgets(way: str) -> None:
    with ExitStack() as stack:
        node, router = (stack.enter_context(Host(name)) for name in ("n1", "r1"))
        stack.enter_context(_wire(node, router))
        site = Site(node, router, Path(stack.enter_context(TemporaryDirectory())) / "r.toml")
        name = site.name
        site.write()
        site.start(way).kill()
    left = {role: pins.find(name, role) for role in ROLES}
    gone = {role: None if found is None else found.ifindex for role, found in left.items()}
    for found in filter(None, left.values()):
        found.close()
    with Host("elsewhere") as elsewhere:  # without an interface of that name
        detached = elsewhere.call(detach, name)

    assert {"member": 0, "sender": 0} == gone
    assert detached
    assert [] == list(pins.BPFFS.glob(f"remainder/{name}*"))


def _delete(ip: IPRoute) -> None:
    ip.link("del", index=ip.link_lookup(ifname="eth0")[0])


# -- beside others' filters ---------------------------------------------------------------


@contextmanager
def _another(site: Site, monkeypatch: pytest.MonkeyPatch, priority: int) -> Iterator[Dataplane]:
    """Somebody else's filter on egress, which counts what it sees and passes it on."""
    (part,) = (part for part in parts_of(load(site.file), site.name) if part.role == "sender")
    loaded = dataplane.load(
        image.capacity_for(part.plan), image.features_of(part.plan), role="sender"
    )
    with monkeypatch.context() as patch:
        patch.setattr(clsact, "PRIORITY", priority)
        patch.setattr(clsact, "HANDLE", 1)
        index = site.node.interface("eth0").index
        site.node.call(clsact.add_qdisc, index)
        site.node.call(clsact.attach, loaded.program_fd, index, "egress")
    yield loaded
    loaded.close()


def _filters_on(ip: IPRoute) -> list[tuple[int, int]]:
    """(priority, handle) of everything on egress."""
    index = ip.link_lookup(ifname="eth0")[0]
    return [
        (found["info"] >> 16, found["handle"])
        for found in ip.get_filters(index=index, parent=0xFFFFFFF3)
        if found["handle"]
    ]


@pytest.mark.parametrize("priority", [1, 60_000])
@pytest.mark.parametrize("first", ["theirs", "ours"])
def test_anothers_filter_works_before_and_behind_ours_and_stays(
    site: Site, monkeypatch: pytest.MonkeyPatch, first: str, priority: int
) -> None:
    """Whoever made the qdisc: ours goes, it and their filter stay."""
    process = site.start("clsact") if first == "ours" else None
    with _another(site, monkeypatch, priority) as theirs:
        process = process or site.start("clsact")
        both = site.node.netlink(_filters_on)
        before = site.seen_by_sender(), _seen(theirs)
        passed = site.answers()
        after = site.seen_by_sender(), _seen(theirs)
        process.terminate()
        left = site.node.netlink(_filters_on)

    ours = (clsact.PRIORITY, clsact.HANDLE)

    assert passed
    assert sorted([ours, (priority, 1)]) == sorted(both)
    assert before[0] < after[0]
    assert before[1] < after[1]
    assert [(priority, 1)] == left
    assert "clsact" in site.qdiscs()


def _seen(loaded: Dataplane) -> int:
    return sum(count.packets for count in outcomes(loaded.maps).values())


def test_an_empty_qdisc_of_another_stays(site: Site) -> None:
    site.node.run(["tc", "qdisc", "add", "dev", "eth0", "clsact"])
    site.start("clsact").terminate()

    assert ["clsact"] == site.qdiscs()


def test_a_qdisc_that_would_take_egress_for_ingress_is_refused(site: Site) -> None:
    """An interface has ``ingress`` or ``clsact``, and the kernel takes filters for either."""
    site.node.run(["tc", "qdisc", "add", "dev", "eth0", "ingress"])
    process = site.start("clsact", ready=False)
    said = process.wait_for("remainder: ")
    process.wait(5)

    assert "has a qdisc 'ingress' where clsact belongs" in said
    assert ["ingress"] == site.qdiscs()
    assert [] == site.traces()


def test_a_second_node_on_the_interface_is_refused_and_the_first_goes_on(site: Site) -> None:
    """Through clsact there is one place; the other node says whose it is."""
    site.start("clsact")
    before = site.programs()
    other = site.write(sender="second")
    done = site.node.run(command("clsact", "run", str(other), "--node", "second"))

    assert 1 == done.returncode
    assert "another Remainder node has its egress filter there" in done.stderr
    assert str(before["egress"]) in done.stderr
    assert before["egress"] == site.programs()["egress"] == site.filters()["egress"]
    assert not (pins.BPFFS / "remainder" / "second").exists()


def test_a_filter_that_somebody_removed_is_made_anew(site: Site) -> None:
    """``tc qdisc del`` takes ours with it: ``status`` tells, and the next start puts it right."""
    site.start("clsact").kill()
    site.node.run(["tc", "qdisc", "del", "dev", "eth0", "clsact"])
    status = site.node.run(command("clsact", "status", "--node", site.name, "--json"))
    attached = [node["attached"] for node in json.loads(status.stdout)["nodes"]]
    again = site.start("clsact")
    running = site.programs()
    again.terminate()

    assert [False, False] == attached
    assert running.keys() == {"ingress", "egress"}
    assert any("detached manually; starting afresh" in line for line in again.lines)
    assert [] == site.traces()
