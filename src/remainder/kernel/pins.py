"""Where the running data plane is found: the BPF file system and /run.

::

    /sys/fs/bpf/remainder/NODE/ROLE/link         what is attached, see hook.py
    /sys/fs/bpf/remainder/NODE/ROLE/companion    what a member has before its stack
    /sys/fs/bpf/remainder/NODE/ROLE/N/program    what it runs, N counts up
    /sys/fs/bpf/remainder/NODE/ROLE/N/MAP…
    /run/remainder/NODE@ROLE.json                names for the numbers (observe/state.py)

Law: the data plane outlives the process.  Both places live until reboot.
"""

from __future__ import annotations

import ctypes
import enum
import os
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from remainder.errors import HostError
from remainder.kernel import dataplane, hook, libbpf
from remainder.kernel.dataplane import Dataplane
from remainder.kernel.hook import Hook
from remainder.plan import Role

BPFFS: Final = Path("/sys/fs/bpf")
NEXT: Final = "-next"
"""Behind the name of what is attached on another interface, until what ran before is gone."""
_BPF_FS_MAGIC: Final = 0xCAFE_4A11
_STATFS_WORDS: Final = 32
LOOKS: Final = 20
LOOK_S: Final = 0.05


@dataclass(frozen=True)
class Attached:
    """A data plane that runs, found by its pins."""

    link: Hook
    companion: Hook | None
    ifindex: int  # 0: the device is gone, or somebody detached it
    folder: Path
    dataplane: Dataplane

    @property
    def is_uniform(self) -> bool:
        """Whether the companion is the program's own; a process may have died between the two."""
        companion_fd = self.dataplane.companion_fd
        if self.companion is None or companion_fd is None:
            return True
        return self.companion.target()[0] == libbpf.program_id(companion_fd)

    def now_on(self) -> int:
        """The interface, as the kernel says it now; 0: somebody has detached a part of it."""
        ifindex = self.link.target()[1]
        if self.companion is not None and self.companion.target()[1] != ifindex:
            return 0
        return ifindex

    @property
    def is_pinned(self) -> bool:
        """Whether all names that lead to it are there."""
        return (
            self.link.is_pinned
            and (self.companion is None or self.companion.is_pinned)
            and self.dataplane.is_pinned(self.folder)
        )

    def pin(self) -> None:
        """Give it its names again.  Raises HostError."""
        if not self.dataplane.is_pinned(self.folder):
            dataplane.unpin(self.folder)
            self.dataplane.pin(self.folder)
        for here in (self.companion, self.link):  # `find` asks for the link
            if here is not None and not here.is_pinned:
                here.pin()

    def replace(self, program: Dataplane) -> None:
        """Run another program, and its companion.  Raises HostError with neither replaced."""
        self.link.replace(program.program_fd)
        if self.companion is None or program.companion_fd is None:
            return
        try:
            self.companion.replace(program.companion_fd)
        except HostError:
            self.link.replace(self.dataplane.program_fd)
            raise

    def close(self) -> None:
        """Give the descriptors back; pins keep what they hold."""
        self.dataplane.close()
        self.link.close()
        if self.companion is not None:
            self.companion.close()


class Changing(enum.Enum):
    """A look at the pins that came between two programs."""

    CHANGING = enum.auto()


CHANGING: Final = Changing.CHANGING


def ensure_bpffs() -> bool:
    """Mount the BPF file system; False if it was mounted.  Raises HostError if that fails."""
    if is_mounted():
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"bpf", str(BPFFS).encode(), b"bpf", 0, b"mode=0700") != 0:
        reason = os.strerror(ctypes.get_errno())
        raise HostError(
            f"the BPF file system is not mounted at {BPFFS} and cannot be mounted ({reason}); run "
            f"as root: mount -t bpf bpf {BPFFS}",
            id="bpffs-missing",
        )
    return True


def is_mounted() -> bool:
    """Whether the BPF file system is where we need it, and no other mount hides it.

    The list of mounts would not tell: `ip netns exec` puts another /sys over it.
    """
    found = (ctypes.c_long * _STATFS_WORDS)()  # struct statfs begins with f_type
    libc = ctypes.CDLL(None, use_errno=True)
    return libc.statfs(str(BPFFS).encode(), found) == 0 and found[0] == _BPF_FS_MAGIC


def folder_of(node: str, role: Role = "balancer") -> Path:
    """The folder of a node's role; the BPF file system allows no dots in names."""
    return BPFFS / "remainder" / node.replace(".", "~") / role


def find(node: str, role: Role = "balancer") -> Attached | None:
    """What runs for a node in a role; None if nothing is pinned."""
    for _ in range(LOOKS):
        found = _find(node, role)
        if found is not CHANGING:
            return found
        time.sleep(LOOK_S)  # a process is putting a new program in its place
    raise HostError(
        f"{folder_of(node, role) / 'link'} runs a program that is not pinned beside it; "
        f"`remainder detach --node {node}` removes it"
    )


def _find(node: str, role: Role) -> Attached | Changing | None:
    here = folder_of(node, role)
    link = hook.find(here / "link")
    if link is None:
        beside = hook.find(here / f"link{NEXT}")
        if beside is None:
            # It may have taken over the name between the two looks.
            return CHANGING if (here / "link").exists() else None
        beside.close()
        take_names(node, role)  # its process died while it handed them over
        return CHANGING
    program_id, ifindex = link.target()
    for folder in reversed(list(_generations(node, role))):
        try:
            found = dataplane.from_pins(folder, role)
        except HostError:
            continue  # half written when its process died
        # A filter that is gone tells no program; what it ran was the newest.
        if program_id in (None, found.program_id):
            companion = hook.find(here / "companion")
            whole = companion is None or companion.target()[1] == ifindex
            return Attached(link, companion, ifindex if whole else 0, folder, found)
        found.close()
    link.close()
    return CHANGING


def next_folder(node: str, role: Role) -> Path:
    """A folder for a new program and its maps."""
    last = max((int(folder.name) for folder in _generations(node, role)), default=0)
    return folder_of(node, role) / str(last + 1)


def remove_others(node: str, role: Role, *, keep: Path) -> None:
    """Remove the programs and maps that no longer run."""
    for folder in _generations(node, role):
        if folder != keep:
            dataplane.unpin(folder)


def sweep(node: str, role: Role, *, keep: Path) -> None:
    """Remove all but what runs, also what a process left that died halfway."""
    detach_left(node, role, NEXT)
    remove_others(node, role, keep=keep)


def detach_old(node: str, role: Role) -> None:
    """Detach what runs and forget its names; the programs stay pinned."""
    _detach(_places(node, role), programs_of(node, role))


def detach_left(node: str, role: Role, suffix: str) -> None:
    """Detach what a process that died halfway left at names that are to be used."""
    left = [path.with_name(f"{path.name}{suffix}") for path in _places(node, role)]
    _detach(left, programs_of(node, role))


def _detach(places: Iterable[Path], ours: Collection[int]) -> None:
    for path in places:
        attached = hook.find(path)
        if attached is not None:
            attached.detach(ours)
            attached.close()
        elif path.is_dir():  # its process died before it attached a filter
            dataplane.unpin(path)


def take_names(node: str, role: Role) -> None:
    """What was attached beside takes over the names; companion first, `find` asks for the link."""
    for path in reversed(_places(node, role)):
        beside = path.with_name(f"{path.name}{NEXT}")
        if beside.exists():
            beside.rename(path)


def give_way(node: str, role: Role, *, keep: Path) -> None:
    """What ran goes, and what was attached beside it takes over its names.

    A pin is replaced in one step: whoever asks by its name, as keepalived does,
    always finds what runs.
    """
    ours = programs_of(node, role) - programs_in(keep)
    for path in _places(node, role):
        beside = path.with_name(f"{path.name}{NEXT}")
        before = hook.find(path) if path.is_file() and beside.exists() else None
        if before is None:
            _detach([path], ours)
        else:
            before.stop(ours)
            before.close()
    take_names(node, role)
    remove_others(node, role, keep=keep)


def remove(node: str, role: Role) -> None:
    """Detach: what is attached goes first, then what it ran."""
    detach_old(node, role)
    detach_left(node, role, NEXT)
    dataplane.unpin(folder_of(node, role))
    tidy(node, role)


def tidy(node: str, role: Role) -> None:
    """Remove the folders of a role and of its node that are empty."""
    folder = folder_of(node, role)
    for empty in (folder, folder.parent, folder.parent.parent):
        with suppress(OSError):  # another role or node is in it, or it never was
            empty.rmdir()


def _places(node: str, role: Role) -> list[Path]:
    folder = folder_of(node, role)
    return [folder / "link", folder / "companion"]


def programs_of(node: str, role: Role) -> set[int]:
    """The kernel's number of every program that is pinned for a role."""
    return {number for folder in _generations(node, role) for number in programs_in(folder)}


def programs_in(folder: Path) -> set[int]:
    """The kernel's numbers of the programs of one folder."""
    found = set()
    for name in ("program", "companion"):
        with suppress(HostError):  # half written
            program_fd = libbpf.pinned(folder / name)
            found.add(libbpf.program_id(program_fd))
            os.close(program_fd)
    return found


def _generations(node: str, role: Role) -> Iterator[Path]:
    folder = folder_of(node, role)
    if not folder.exists():
        return
    yield from sorted(
        (entry for entry in folder.iterdir() if entry.name.isdecimal()),
        key=lambda entry: int(entry.name),
    )
