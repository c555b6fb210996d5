"""The life of programs before and behind the stack: through tcx, and through clsact before 6.6.

A node that is a member and a sender has one of each: the member's companion on
ingress, the sender's program on egress.
"""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from pyroute2 import IPRoute

from remainder.kernel import pins
from remainder.roles.node import detach
from remainder_lab import Host
from remainder_lab.patience import patient
from tests.lab.before_tcx import command
from tests.lab.beside_the_stack.site import ROLES, WAYS, Site, wired

pytestmark = [pytest.mark.root, pytest.mark.bpf]


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
    with wired(site.node, site.router):
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
        stack.enter_context(wired(node, router))
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
