"""A loaded program of a role, its maps, its pins.

Law: the data plane outlives the process.  Everything here can be found again
by its pins alone; a process is only the one who writes the tables.
Twin: bpf/, a program for each role.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from remainder.errors import HostError
from remainder.kernel import abi, image, index, libbpf
from remainder.kernel.abi import ORDINARY_MTU, TAGGED_BITS, UNTAGGED, Feature
from remainder.kernel.layout import Capacity, layout_of
from remainder.kernel.libbpf import Map
from remainder.kernel.tables import Tables
from remainder.plan import Plan, Role

BPF: Final = Path(__file__).parent.parent / "bpf"
BALANCER: Final = BPF / "balancer.bpf.o"


@dataclass(frozen=True)
class Program:
    """What a role loads: an object, the program in it, and one that goes before the stack."""

    path: Path
    entry: str
    companion: str | None = None
    xdp: bool = True
    """Else it runs beside the stack, see hook.py."""


PROGRAMS: Final[Mapping[Role, Program]] = {
    "balancer": Program(BALANCER, "balancer"),
    "member": Program(BPF / "member.bpf.o", "member", companion="member_host"),
    "sender": Program(BPF / "sender.bpf.o", "sender", xdp=False),
}

_SECTIONS: Final = {"live": ".data.live", "settings": ".rodata.settings"}
_COUNTERS: Final = ("outcomes", "servers")
_MAPS: Final = ("halves", *_COUNTERS, *_SECTIONS)


@dataclass(frozen=True)
class Dataplane:
    """Descriptors of a loaded program and its maps."""

    role: Role
    program_fd: int
    companion_fd: int | None
    maps: Mapping[str, Map]
    capacity: Capacity
    features: Feature
    found: bool = False
    """By its pins: packets may be going through it."""

    @property
    def program_id(self) -> int:
        """The kernel's number of the program."""
        return libbpf.program_id(self.program_fd)

    @property
    def is_ours(self) -> bool:
        """Whether its tables are those of this build."""
        return "halves" in self.maps

    def serves(self, plan: Plan, *, mtu: int, vlan: int | None = None) -> bool:
        """Whether a plan can be published here: room and code enough, and the same families.

        More code than needed does no harm, but reading a family that no VIP
        has would give a packet another outcome than a fresh start gives it;
        and frames either carry a tag or do not.
        """
        features = features_for(plan, mtu=mtu, vlan=vlan)
        families = UNTAGGED | Feature.TAGGED_IPV4 | Feature.TAGGED_IPV6
        return (
            self.capacity.holds(image.need_of(plan))
            and not features & ~self.features
            and features & families == self.features & families
        )

    def tables(self) -> Tables:
        """The tables, mapped for writing."""
        return Tables(self.maps, self.capacity, read=self.found)

    def run(self, frame: bytes) -> tuple[int, bytes]:
        """Run one frame through the program in memory: (XDP verdict, frame afterwards)."""
        return libbpf.test_run(self.program_fd, frame)

    def pin(self, folder: Path) -> None:
        """Give program and maps names in a folder of the BPF file system."""
        while not folder.exists():
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except FileNotFoundError:
                continue  # a node that ends takes away a parent that is empty
            except OSError as error:
                raise HostError(f"making {folder}: {error.strerror}") from None
        for name, fd in self._named().items():
            libbpf.pin(fd, folder / name)

    def is_pinned(self, folder: Path) -> bool:
        """Whether everything has its name in a folder."""
        return all((folder / name).exists() for name in self._named())

    def _named(self) -> dict[str, int]:
        companion = {} if self.companion_fd is None else {"companion": self.companion_fd}
        maps = {name: kernel_map.fd for name, kernel_map in self.maps.items()}
        return {"program": self.program_fd, **companion, **maps}

    def close(self) -> None:
        """Give the descriptors back; pins and links keep what they hold."""
        os.close(self.program_fd)
        if self.companion_fd is not None:
            os.close(self.companion_fd)
        for kernel_map in self.maps.values():
            kernel_map.close()


def load(
    capacity: Capacity,
    features: Feature,
    *,
    role: Role = "balancer",
    counters: Mapping[str, Map] | None = None,
) -> Dataplane:
    """Load a role's program with empty tables.

    ``counters`` of a program before it are taken over where they are as many and
    count alike.  Raises HostError, with the verifier's words if it refuses.
    """
    layout = layout_of(capacity)
    settings = abi.Settings(
        layout=abi.LAYOUT_VERSION,
        features=int(features),
        bucket_shift=index.shift_of(capacity.buckets),
        service_shift=index.shift_of(capacity.services),
        services_at=layout.services_at,
        slots_at=layout.slots_at,
        owners_at=layout.owners_at,
        slots=capacity.slots,
        owners=capacity.owners,
    )
    program = PROGRAMS[role]
    with libbpf.opened(program.path) as opened:
        opened.widen("halves", layout.size)
        opened.resize("servers", capacity.counters)
        opened.set_data(".rodata.settings", bytes(settings))
        entries = {"outcomes": len(abi.OUTCOMES), "servers": capacity.counters}
        for name, kernel_map in (counters or {}).items():
            if counts_alike(kernel_map) and kernel_map.max_entries == entries[name]:
                opened.reuse(name, kernel_map.fd)
        if program.xdp:
            opened.take_buffers(program.entry)  # at any MTU, so that it may grow while we run
        opened.load(program.entry)
        return Dataplane(
            role=role,
            program_fd=opened.program_fd(program.entry),
            companion_fd=opened.program_fd(program.companion) if program.companion else None,
            maps={name: opened.map(_SECTIONS.get(name, name)) for name in _MAPS},
            capacity=capacity,
            features=features,
        )


def features_for(plan: Plan, *, mtu: int, vlan: int | None = None) -> Feature:
    """What code the program needs for a plan on an interface."""
    features = image.features_of(plan)
    if PROGRAMS[plan.role].xdp and mtu > ORDINARY_MTU:
        features |= Feature.BUFFERS
    if vlan is not None:
        families = features & UNTAGGED
        features ^= families | Feature(families << TAGGED_BITS)
    return features


def counts_alike(kernel_map: Map) -> bool:
    """Whether a map of counters has those of this build."""
    return kernel_map.value_size == abi.COUNT.itemsize


def from_pins(folder: Path, role: Role) -> Dataplane:
    """Find a data plane again by its pins.  Raises HostError if something is missing.

    One of another build may have other tables, which are left alone: it has
    counters, and no room for any plan.
    """
    wanted = _MAPS if _is_of_this_build(folder) else _COUNTERS
    with ExitStack() as held:  # a folder that was half written holds some of them
        maps: dict[str, Map] = {}
        for name in wanted:
            maps[name] = Map(libbpf.pinned(folder / name))
            held.callback(maps[name].close)
        program_fd = libbpf.pinned(folder / "program")
        held.callback(os.close, program_fd)
        companion = folder / "companion"
        companion_fd = libbpf.pinned(companion) if companion.exists() else None
        held.pop_all()
    capacity, features = Capacity(0, 0, 0, 0, maps["servers"].max_entries), Feature(0)
    if "settings" in maps:
        settings = abi.Settings.from_buffer_copy(maps["settings"].lookup(0))
        features = Feature(settings.features)
        capacity = Capacity(
            buckets=index.size_of(settings.bucket_shift),
            services=index.size_of(settings.service_shift),
            slots=settings.slots,
            owners=settings.owners,
            counters=maps["servers"].max_entries,
        )
    return Dataplane(
        role=role,
        program_fd=program_fd,
        companion_fd=companion_fd,
        maps=maps,
        capacity=capacity,
        features=features,
        found=True,
    )


def _is_of_this_build(folder: Path) -> bool:
    """Whether the pinned program reads its tables as this build writes them."""
    if not all((folder / name).exists() for name in _MAPS):
        return False
    settings = Map(libbpf.pinned(folder / "settings"))
    try:
        layout = abi.Settings.layout.size
        return (
            settings.value_size == ctypes.sizeof(abi.Settings)
            and int.from_bytes(settings.lookup(0)[:layout], "little") == abi.LAYOUT_VERSION
        )
    finally:
        settings.close()


def unpin(folder: Path) -> None:
    """Remove a folder of pins; what nothing else holds is freed by the kernel."""
    if folder.exists():
        try:
            shutil.rmtree(folder)
        except OSError as error:
            raise HostError(f"removing {folder}: {error.strerror}") from None


def code_fingerprint(role: Role = "balancer") -> str:
    """SHA-256 of the compiled program: equal on nodes that run the same code."""
    path = PROGRAMS[role].path
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        raise HostError(
            f"{path.name} is missing: the data plane was not compiled; reinstall Remainder "
            f"with clang and libbpf-dev present"
        ) from None
