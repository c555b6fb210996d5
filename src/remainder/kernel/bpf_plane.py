"""A plane of the running kernel: a program and tables that are pinned, and outlive the process.

Twin: bpf/.  bpf_changes.py changes it, bpf_planes.py finds and makes it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from remainder.flow import Address
from remainder.kernel import pins
from remainder.kernel.image import OwnerName
from remainder.kernel.netlink import Interface
from remainder.kernel.own_macs import OwnMacs
from remainder.kernel.pins import Attached
from remainder.kernel.tables import Tables
from remainder.plan import Plan, Role


@dataclass
class BpfPlane:
    """A role's program and tables, attached."""

    node: str
    attached: Attached
    mode: str
    tables: Tables | None  # None: of another build, how they are laid out is not for us to know
    numbers: dict[OwnerName, int]
    code: str | None
    """The fingerprint of its program; None: nobody has noted it."""
    is_current: bool = True
    """Whether that is the program which this build would load."""

    @property
    def role(self) -> Role:
        """Whose it is."""
        return self.attached.dataplane.role

    @property
    def ifindex(self) -> int:
        """As the kernel says it now; 0 also if a part of it is gone."""
        return self.attached.now_on() if self.attached.ifindex else 0

    @property
    def is_pinned(self) -> bool:
        """By its names in the BPF file system."""
        return self.attached.is_pinned

    def serves(self, plan: Plan, interface: Interface) -> bool:
        """Room and code enough, of this build."""
        return (
            self.is_current
            and self.tables is not None
            and self.attached.dataplane.serves(plan, mtu=interface.mtu, vlan=interface.vlan)
        )

    def set_mac(self, address: Address, mac: bytes) -> None:
        """One aligned store for each service."""
        if self.tables is not None:
            self.tables.set_mac(address, mac)

    def set_own_mac(self, mac: bytes) -> None:
        """One aligned store."""
        if self.tables is not None:
            self.tables.set_own_mac(mac)

    def set_own_macs(self, own: OwnMacs) -> None:
        """A store for each."""
        if self.tables is not None:
            self.tables.set_own_macs(own)

    def set_on_link(self, networks: Collection[IPv4Network | IPv6Network]) -> None:
        """A few aligned stores; between them a range matches too little, never too much."""
        if self.tables is not None:
            self.tables.set_on_link(networks)

    def pin(self) -> None:
        """Under the names that it had."""
        pins.ensure_bpffs()
        self.attached.pin()

    def close(self) -> None:
        """Pins keep what runs."""
        self.attached.close()
