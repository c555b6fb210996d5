"""``check`` tries what ``run`` will do, for every role, and nothing of it stays."""

from __future__ import annotations

import errno
import platform
import re
import subprocess
from pathlib import Path

import pytest

from remainder.diagnose import probe
from remainder.errors import HostError
from remainder.fleet import Part, parts_of
from remainder.kernel import clsact, libbpf, neighbours, netlink, netns, refusal
from remainder.sources.file import load

pytestmark = [pytest.mark.bpf, pytest.mark.root]

FLEET = Path(__file__).parents[1] / "golden" / "fleet.toml"
NEED = "program can be attached"


def part_of(node: str) -> Part:
    (part,) = parts_of(load(FLEET), node)
    return part


def refusing(number: int) -> object:
    """A kernel that answers an attempt to attach with an error."""

    def attach(*_: object) -> int:
        raise refusal.failure(number, "attaching through tcx")

    return attach


def found(node: str) -> dict[str, tuple[bool, str]]:
    return {
        finding.need: (finding.met, finding.detail)
        for finding in probe.probe(part_of(node), interface=None)
    }


HAS_TCX = tuple(map(int, re.findall(r"\d+", platform.release())[:2])) >= (6, 6)
WAY = "tcx" if HAS_TCX else "clsact (before Linux 6.6)"


@pytest.mark.parametrize(
    ("node", "detail"),
    [("lb1", "XDP"), ("r1", f"XDP, {WAY} ingress"), ("s1", f"{WAY} egress")],
)
def test_every_role_is_attached_for_a_trial(node: str, detail: str) -> None:
    assert (True, detail) == found(node)[NEED]


@pytest.mark.parametrize(
    ("node", "detail"),
    [
        ("lb1", "XDP"),
        ("r1", "XDP, clsact (before Linux 6.6) ingress"),
        ("s1", "clsact (before Linux 6.6) egress"),
    ],
)
def test_where_tcx_is_missing_clsact_is_tried(
    monkeypatch: pytest.MonkeyPatch, node: str, detail: str
) -> None:
    monkeypatch.setattr(libbpf, "attach_behind", refusing(errno.EINVAL))

    assert (True, detail) == found(node)[NEED]


def test_a_program_that_cannot_be_attached_is_a_no(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither way: the reason is that of the way that was to work."""
    monkeypatch.setattr(libbpf, "attach_behind", refusing(errno.EINVAL))
    monkeypatch.setattr(clsact, "add_qdisc", lambda _: clsact_is_unknown())
    met, detail = found("s1")[NEED]

    assert not met
    assert "no clsact here" in detail


def clsact_is_unknown() -> bool:
    raise HostError("no clsact here")


def test_a_program_that_does_not_load_is_told_of_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: object, program: str) -> None:
        raise refusal.rejected(program, "a verdict", "clang 1")

    monkeypatch.setattr(libbpf.Object, "load", refuse)
    told = found("lb1")

    assert NEED not in told
    assert [False] == [met for met, detail in told.values() if "verifier rejected" in detail]


@pytest.mark.parametrize("number", [0, errno.EINVAL])
def test_a_trial_leaves_nothing_where_it_was_asked(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Its network namespace is its own, and its loopback is not ours."""
    if number:
        monkeypatch.setattr(libbpf, "attach_behind", refusing(number))
    before = netns.here()

    def look() -> tuple[object, list[object], object]:
        found("r1"), found("s1"), probe.probe_host(["member", "sender"])
        with netlink.netlink() as route:
            return (
                netlink.interface("lo").xdp_program,
                [qdisc for qdisc in route.get_qdiscs(index=1) if qdisc.get("kind") == "clsact"],
                neighbours.neighbours(1),
            )

    assert (None, [], {}) == netns.apart(look)
    assert before == netns.here()


def test_neighbours_that_are_kept_resolved_are_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a kernel that forgets the wish, as before Linux 5.16, is a NO."""
    need = "kernel keeps neighbours resolved"
    kept = {item.need: item.met for item in probe.probe_host(["balancer"])}
    monkeypatch.setattr(neighbours, "_EXT_MANAGED", 0)
    lost = {item.need: item.met for item in probe.probe_host(["balancer"])}

    assert kept[need]
    assert not lost[need]


def test_a_kernel_that_is_too_old_is_a_no(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "release", lambda: "5.15.0-119-generic")
    told = {item.need: item for item in probe.probe_host(["balancer", "sender"])}

    assert not told["kernel"].met
    assert "Linux 5.15.0-119-generic is too old: a balancer needs 6.1" in told["kernel"].detail


def test_who_may_not_make_a_namespace_is_told_what_was_not_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The capabilities that ``run`` takes do not cover it, and that is no fault of the host."""
    monkeypatch.setattr(netns, "can_be_made", lambda: False)
    met, detail = found("s1")[NEED]

    assert met
    assert detail.startswith("not tried")


def test_an_interface_without_ethernet_is_no_place_to_run() -> None:
    """Tried on a tun device, and on the loopback."""

    def asked() -> list[tuple[bool, str]]:
        subprocess.run(["ip", "tuntap", "add", "dev", "tun0", "mode", "tun"], check=True)
        return [
            (finding.met, finding.detail)
            for name in ("tun0", "lo")
            for finding in probe.probe(part_of("lb1"), interface=name)
            if finding.need == f"interface {name}"
        ]

    why = "carries no Ethernet frames, so method l2 cannot address a server there"
    found = netns.apart(asked)

    assert [(False, f"{name} {why}; use an Ethernet interface") for name in ("tun0", "lo")] == found
