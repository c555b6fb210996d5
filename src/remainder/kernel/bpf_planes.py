"""The planes of this machine: found by their pins, changed by bpf_changes.py.

The protocols and the order of the steps are in plane.py.
"""

from __future__ import annotations

from collections.abc import Mapping

from remainder.errors import HostError
from remainder.kernel import dataplane, netlink, pins
from remainder.kernel.bpf_changes import Attaching, Publishing, Replacing
from remainder.kernel.bpf_plane import BpfPlane
from remainder.kernel.image import OwnerName
from remainder.kernel.pins import Attached
from remainder.kernel.plane import Plane, Prepared, Wish
from remainder.kernel.tables import Tables
from remainder.plan import Role


class BpfPlanes:
    """The planes of this machine."""

    def find(
        self, node: str, role: Role, numbers: Mapping[OwnerName, int], *, code: str | None
    ) -> BpfPlane | None:
        """By its pins."""
        pins.ensure_bpffs()
        found = pins.find(node, role)
        if found is None:
            return None
        try:
            return BpfPlane(
                node=node,
                attached=found,
                mode=_mode_of(found),
                tables=found.dataplane.tables() if found.dataplane.is_ours else None,
                numbers=dict(numbers),
                code=code,
                is_current=code == self.fingerprint(role) and found.is_uniform,
            )
        except BaseException:
            found.close()
            raise

    def prepare(self, wish: Wish, running: Plane | None) -> Prepared:
        """In place, by another program in its place, or at a place that has none yet."""
        pins.ensure_bpffs()
        Tables.refuse_too_many(wish.on_link)
        if not isinstance(running, BpfPlane) or running.ifindex != wish.interface.index:
            return Attaching.prepared(wish, running if isinstance(running, BpfPlane) else None)
        if running.serves(wish.plan, wish.interface):
            return Publishing.prepared(wish, running)
        return Replacing.prepared(wish, running)

    def remove(self, node: str, role: Role) -> bool:
        """Detach, and take the pins away."""
        found = pins.folder_of(node, role).exists()
        pins.remove(node, role)
        return found

    def fingerprint(self, role: Role) -> str:
        """SHA-256 of the object."""
        return dataplane.code_fingerprint(role)


def _mode_of(found: Attached) -> str:
    """How it is attached: as the interface says of XDP, else the way."""
    way = found.link.way
    if way != "XDP":
        return way
    try:
        return netlink.interface_at(found.ifindex).xdp_mode or "native"
    except HostError:  # the interface is gone, or in another network namespace
        return "native"
