"""A role's plane: its program and tables in the kernel, changed in two steps.

The other of the two doors to Linux, beside host.py.  ``prepare`` does all that
can fail and nothing that a packet could see; ``commit`` is what packets see:
a store, a program in the place of another, or an attachment.  ``undo`` goes
back, ``discard`` forgets what was prepared.  ``fake.py`` has planes in memory.

Laws: prepare everything, then commit; publishing is one write; the data plane
outlives the process.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Protocol

from remainder.flow import Address
from remainder.kernel.image import OwnerName
from remainder.kernel.netlink import Interface
from remainder.kernel.own_macs import OwnMacs
from remainder.messages import Warn
from remainder.plan import Plan, Role


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a role wants of its plane."""

    node: str
    plan: Plan
    interface: Interface
    mode: str
    """auto, native or generic; for a program beside the stack it says nothing."""
    macs: Mapping[Address, bytes]
    cluster_mac: bytes | None = None
    on_link: Collection[IPv4Network | IPv6Network] = field(default=())
    own_macs: OwnMacs = field(default_factory=OwnMacs)


class Plane(Protocol):
    """What runs for a role of a node."""

    @property
    def ifindex(self) -> int:
        """The interface; 0: it is gone, or somebody has detached the program."""

    @property
    def is_pinned(self) -> bool:
        """Whether the next process would find it."""

    @property
    def mode(self) -> str:
        """How it is attached: native, generic, tcx or clsact."""

    @property
    def code(self) -> str | None:
        """The fingerprint of its program; None if nobody has noted it."""

    @property
    def numbers(self) -> Mapping[OwnerName, int]:
        """The counter of every owner."""

    def serves(self, plan: Plan, interface: Interface) -> bool:
        """Whether a plan can be published without another program."""

    def set_mac(self, address: Address, mac: bytes) -> None:
        """A neighbour has this MAC now."""

    def set_own_mac(self, mac: bytes) -> None:
        """Frames to this address are ours."""

    def set_own_macs(self, own: OwnMacs) -> None:
        """What the other addresses of this machine are."""

    def set_on_link(self, networks: Collection[IPv4Network | IPv6Network]) -> None:
        """The ranges of the segment.  Raises HostError for too many."""

    def pin(self) -> None:
        """See that the next process finds it, and all of it.  Raises HostError."""

    def close(self) -> None:
        """Let go of it; it runs on."""


class Prepared(Protocol):
    """A change of a plane, ready but for its last step."""

    @property
    def risk(self) -> int:
        """The higher, the more can go wrong at ``commit``: 0 a store, 1 a program, 2 a place."""

    def commit(self, warn: Warn) -> Plane:
        """Let packets see it.  Raises HostError with nothing that they could see."""

    def undo(self) -> None:
        """Take a committed change back; what ran before it runs again."""

    def finish(self) -> None:
        """Let go of what ran before; there is no way back then."""

    def discard(self) -> None:
        """Forget a change that was not committed, or was undone."""


class Planes(Protocol):
    """Where planes come from.  Every refusal is a HostError."""

    def find(
        self, node: str, role: Role, numbers: Mapping[OwnerName, int], *, code: str | None
    ) -> Plane | None:
        """What runs for a role of a node.

        ``numbers`` and ``code``, its fingerprint, are what a process noted before it ended.
        """

    def prepare(self, wish: Wish, running: Plane | None) -> Prepared:
        """All that a wish takes but the last step; ``running`` goes on untouched."""

    def remove(self, node: str, role: Role) -> bool:
        """Detach and forget what runs, if anything does."""

    def fingerprint(self, role: Role) -> str:
        """Of the code that a new plane would run."""
