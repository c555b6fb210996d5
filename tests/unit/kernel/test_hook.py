"""A program and its companion change together, and only what is ours is taken away."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from remainder.errors import HostError
from remainder.kernel import clsact, hook, libbpf, netns, refusal
from remainder.kernel.hook import Filter
from remainder.kernel.pins import Attached

THEIRS, OURS = 7, 8


class Kernel:
    """An interface with clsact, as the kernel would have it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self.program: int | None = None
        self.had_qdisc = False
        self.refusal: HostError | None = None
        monkeypatch.setattr(clsact, "program_at", lambda *_: self.program)
        monkeypatch.setattr(clsact, "add_qdisc", self._add_qdisc)
        monkeypatch.setattr(clsact, "attach", self._attach)
        for name in ("replace", "detach", "remove_empty_qdisc"):
            monkeypatch.setattr(clsact, name, self._noted(name))

    def _add_qdisc(self, _: int) -> bool:
        self.asked.append("add_qdisc")
        return not self.had_qdisc

    def _attach(self, *_: object) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.asked.append("attach")

    def _noted(self, name: str) -> Callable[..., None]:
        return lambda *_: self.asked.append(name)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return Kernel(monkeypatch)


def no_tcx(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*_: object) -> int:
        raise refusal.failure(number, "attaching through tcx")

    monkeypatch.setattr(libbpf, "attach_behind", refuse)


def named(tmp_path: Path, *, ours: bool) -> Filter:
    """A filter of this namespace, found by its name."""
    path = tmp_path / "remainder" / "n1" / "sender" / "link"
    (path / f"egress-3-{netns.here()}{'-qdisc' if ours else ''}").mkdir(parents=True)
    found = hook.find(path)
    assert isinstance(found, Filter)
    return found


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EOPNOTSUPP])
@pytest.mark.parametrize("had_qdisc", [True, False])
def test_a_filter_is_found_again_by_its_name_alone(
    monkeypatch: pytest.MonkeyPatch, kernel: Kernel, tmp_path: Path, number: int, *, had_qdisc: bool
) -> None:
    no_tcx(monkeypatch, number)
    kernel.had_qdisc, kernel.program = had_qdisc, OURS
    path = tmp_path / "remainder" / "n1" / "sender" / "link"
    made = hook.beside_stack(5, 3, "egress", path)

    assert made == hook.find(path)
    assert ("clsact", (OURS, 3)) == (made.way, made.target())
    assert isinstance(made, Filter)
    assert made.qdisc_is_ours is not had_qdisc
    assert ["add_qdisc", "attach"] == kernel.asked


def test_an_error_that_says_nothing_of_tcx_is_told_and_not_worked_round(
    monkeypatch: pytest.MonkeyPatch, kernel: Kernel, tmp_path: Path
) -> None:
    no_tcx(monkeypatch, errno.ENODEV)
    with pytest.raises(HostError, match="attaching through tcx: No such device"):
        hook.beside_stack(5, 3, "egress", tmp_path / "a" / "b" / "c" / "link")

    assert [] == kernel.asked


@pytest.mark.parametrize(("had_qdisc", "asked"), [(True, []), (False, ["remove_empty_qdisc"])])
def test_a_filter_that_is_refused_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, kernel: Kernel, tmp_path: Path, asked: list[str],
    *, had_qdisc: bool,
) -> None:  # fmt: skip
    no_tcx(monkeypatch, errno.EINVAL)
    kernel.had_qdisc, kernel.refusal = had_qdisc, HostError("no place")
    path = tmp_path / "remainder" / "n1" / "sender" / "link"
    with pytest.raises(HostError, match="no place"):
        hook.beside_stack(5, 3, "egress", path)

    assert not path.exists()
    assert ["add_qdisc", *asked] == kernel.asked


@pytest.mark.parametrize("ours", [True, False])
@pytest.mark.parametrize("program", [OURS, THEIRS, None])
def test_only_our_filter_and_only_our_qdisc_are_taken_away(
    kernel: Kernel, tmp_path: Path, program: int | None, *, ours: bool
) -> None:
    kernel.program = program
    found = named(tmp_path, ours=ours)
    found.detach({OURS})
    expected = ["detach", *(["remove_empty_qdisc"] if ours else [])] if program == OURS else []

    assert expected == kernel.asked
    assert not found.path.exists()


def test_a_filter_that_was_removed_runs_nothing_else(kernel: Kernel, tmp_path: Path) -> None:
    found = named(tmp_path, ours=True)

    assert (None, 0) == found.target()
    with pytest.raises(
        HostError, match="the egress filter on interface 3 was removed by somebody else"
    ):
        found.replace(5)
    assert [] == kernel.asked


def test_a_place_without_a_name_is_no_place(tmp_path: Path) -> None:
    """Its process died before it attached anything."""
    assert hook.find(tmp_path) is None


def test_a_companion_that_cannot_change_keeps_the_program_that_it_belongs_to() -> None:
    ran: list[tuple[str, int]] = []

    def refuse(_: int) -> None:
        raise HostError("no")

    now: Any = SimpleNamespace(program_fd=10, companion_fd=11)
    new: Any = SimpleNamespace(program_fd=20, companion_fd=21)
    attached = Attached(
        link=SimpleNamespace(replace=lambda program_fd: ran.append(("link", program_fd))),
        companion=SimpleNamespace(replace=refuse),
        ifindex=3,
        folder=Path(),
        dataplane=now,
    )
    with pytest.raises(HostError, match="no"):
        attached.replace(new)

    assert [("link", 20), ("link", 10)] == ran
