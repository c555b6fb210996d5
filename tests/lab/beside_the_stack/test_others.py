"""Beside the filters of others: clsact is shared."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pyroute2 import IPRoute

from remainder.fleet import parts_of
from remainder.kernel import clsact, dataplane, image, pins
from remainder.kernel.counters import outcomes
from remainder.kernel.dataplane import Dataplane
from remainder.sources.file import load
from tests.lab.before_tcx import command
from tests.lab.beside_the_stack.site import Site

pytestmark = [pytest.mark.root, pytest.mark.bpf]


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
