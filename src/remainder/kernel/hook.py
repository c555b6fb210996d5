"""Where a program stands on an interface, and how that is found again.

Two ways: a link (XDP, and tcx from Linux 6.6 on), which is pinned, or a filter
of the qdisc clsact before that, whose place is the name of an empty folder::

    NODE/ROLE/link                              a pin: a link
    NODE/ROLE/link/egress-7-4026531840          a folder: a filter on interface 7 of that
                                                network namespace
    NODE/ROLE/link/egress-7-4026531840-qdisc    likewise, and Remainder made the qdisc

Law: the data plane outlives the process; kernel and pins say all.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol

from remainder.errors import HostError
from remainder.kernel import clsact, libbpf, netns

Direction = Literal["ingress", "egress"]
Way = Literal["XDP", "tcx", "clsact"]

_TCX: Final = {"ingress": libbpf.TCX_INGRESS, "egress": libbpf.TCX_EGRESS}
_NO_TCX: Final = (errno.EINVAL, errno.EOPNOTSUPP)  # before Linux 6.6, or built without it


class Hook(Protocol):
    """A program on an interface, for longer than the process lives."""

    path: Path
    """Its name, by which it is found again."""

    @property
    def way(self) -> Way:
        """Which of the ways."""

    def target(self) -> tuple[int | None, int]:
        """(program id, ifindex); ifindex 0: nothing is attached any more."""

    @property
    def is_pinned(self) -> bool:
        """Whether its name is there, by which it is found again."""

    def pin(self) -> None:
        """Give it its name again.  Raises HostError."""

    def replace(self, program_fd: int) -> None:
        """Run another program; no packet falls between the two."""

    def stop(self, ours: Collection[int]) -> None:
        """End it, if it runs a program of ours; its name stays."""

    def detach(self, ours: Collection[int]) -> None:
        """End it likewise, and forget where it was."""

    def close(self) -> None:
        """Give back what this process holds of it; it stays attached."""


@dataclass
class Link:
    """A program that a link holds."""

    fd: int
    path: Path

    @property
    def way(self) -> Way:
        """A link is of one kind for life."""
        return "XDP" if libbpf.link_is_xdp(self.fd) else "tcx"

    def target(self) -> tuple[int | None, int]:
        """As the link says; of a device that is gone 0."""
        return libbpf.link_target(self.fd)

    @property
    def is_pinned(self) -> bool:
        """Whatever has the name is taken for it."""
        return self.path.exists()

    def pin(self) -> None:
        """In its folder, which is made if need be."""
        _make(self.path.parent)
        libbpf.pin(self.fd, self.path)

    def replace(self, program_fd: int) -> None:
        """In one step."""
        libbpf.update_link(self.fd, program_fd)

    def stop(self, ours: Collection[int]) -> None:
        """Whatever it runs: nobody else has this link."""
        del ours
        if self.target()[1]:
            libbpf.detach(self.fd)

    def detach(self, ours: Collection[int]) -> None:
        """And its pin."""
        self.stop(ours)
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """The pin keeps the link."""
        os.close(self.fd)


@dataclass
class Filter:
    """A program that a filter of clsact runs."""

    path: Path
    direction: Direction
    ifindex: int
    namespace: int
    qdisc_is_ours: bool

    @property
    def way(self) -> Way:
        """The only one."""
        return "clsact"

    def target(self) -> tuple[int | None, int]:
        """As the kernel says, wherever this process is."""
        program_id = netns.inside(
            self.namespace, lambda: clsact.program_at(self.ifindex, self.direction)
        )
        return (None, 0) if program_id is None else (program_id, self.ifindex)

    @property
    def is_pinned(self) -> bool:
        """By the name of a folder."""
        return self._mark.exists()

    def pin(self) -> None:
        """A folder, which says where the filter is."""
        _make(self._mark)

    @property
    def _mark(self) -> Path:
        made = "-qdisc" if self.qdisc_is_ours else ""
        return self.path / f"{self.direction}-{self.ifindex}-{self.namespace}{made}"

    def replace(self, program_fd: int) -> None:
        """In one step."""
        if self.target()[0] is None:
            raise HostError(
                f"the {self.direction} filter on interface {self.ifindex} was removed by somebody "
                f"else; restart `remainder run`"
            )
        netns.inside(
            self.namespace, lambda: clsact.replace(program_fd, self.ifindex, self.direction)
        )

    def stop(self, ours: Collection[int]) -> None:
        """A qdisc that Remainder made goes too, unless somebody else uses it by now."""

        def inside() -> None:
            if clsact.program_at(self.ifindex, self.direction) in ours:
                clsact.detach(self.ifindex, self.direction)
                if self.qdisc_is_ours:
                    clsact.remove_empty_qdisc(self.ifindex)

        netns.inside(self.namespace, inside)

    def detach(self, ours: Collection[int]) -> None:
        """And the folder that names it."""
        self.stop(ours)
        shutil.rmtree(self.path, ignore_errors=True)

    def close(self) -> None:
        """Nothing is held."""


def link(fd: int, path: Path) -> Link:
    """A link that was just made, pinned.  Raises HostError with nothing attached."""
    try:
        libbpf.pin(fd, path)
    except HostError:
        libbpf.detach(fd)
        os.close(fd)
        raise
    return Link(fd, path)


def beside_stack(program_fd: int, ifindex: int, direction: Direction, path: Path) -> Hook:
    """Attach a program before the stack or behind it.  Raises HostError with nothing attached."""
    fd = _tcx(program_fd, ifindex, direction)
    return _filter(program_fd, ifindex, direction, path) if fd is None else link(fd, path)


def trial(program_fd: int, ifindex: int, direction: Direction) -> Way:
    """The way that ``beside_stack`` would take.  For an interface that goes away afterwards."""
    fd = _tcx(program_fd, ifindex, direction)
    if fd is not None:
        os.close(fd)
        return "tcx"
    clsact.add_qdisc(ifindex)
    clsact.attach(program_fd, ifindex, direction)
    return "clsact"


def find(path: Path) -> Hook | None:
    """What a name in the BPF file system stands for; None if nothing has it."""
    if path.is_dir():
        with suppress(StopIteration):
            direction, ifindex, namespace, *qdisc = next(path.iterdir()).name.split("-")
            where: Direction = "ingress" if direction == "ingress" else "egress"
            return Filter(path, where, int(ifindex), int(namespace), bool(qdisc))
        return None  # its process died before it attached
    try:
        return Link(libbpf.pinned(path), path)
    except HostError:
        if path.exists():
            raise
        return None


def _tcx(program_fd: int, ifindex: int, direction: Direction) -> int | None:
    """A link's descriptor; None where the kernel knows no tcx."""
    try:
        return libbpf.attach_behind(program_fd, ifindex, _TCX[direction])
    except HostError as error:
        if libbpf.errno_of(error) in _NO_TCX:
            return None
        raise


def _filter(program_fd: int, ifindex: int, direction: Direction, path: Path) -> Filter:
    namespace = netns.here()
    made = clsact.add_qdisc(ifindex) or _is_ours(path, ifindex, namespace)
    found = Filter(path, direction, ifindex, namespace, made)
    try:
        found.pin()  # first: a filter that nobody can find again would stay for ever
        clsact.attach(program_fd, ifindex, direction)
    except HostError:
        shutil.rmtree(path, ignore_errors=True)
        if made:
            clsact.remove_empty_qdisc(ifindex)
        raise
    return found


def _is_ours(path: Path, ifindex: int, namespace: int) -> bool:
    """Whether another hook of Remainder made the qdisc; whoever goes last removes it."""
    return any(path.parents[2].glob(f"*/*/*/*-{ifindex}-{namespace}-qdisc"))


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HostError(f"making {folder}: {error.strerror}") from None
