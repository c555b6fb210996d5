"""The running tables: fill a half out of sight, publish it in one write.

Law: no packet sees a mixture of two plans, none waits for one.
Twin: bpf/maps.h.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from itertools import zip_longest
from typing import Any, Final, NewType

import numpy as np
import numpy.typing as npt

from remainder.errors import HostError
from remainder.flow import Address
from remainder.kernel import abi
from remainder.kernel.abi import OwnerFlag
from remainder.kernel.image import Image
from remainder.kernel.layout import SEED, SLOT, Capacity, Layout, layout_of
from remainder.kernel.libbpf import Map
from remainder.kernel.own_macs import OwnMacs

_MEMBARRIER: Final = {"x86_64": 324, "aarch64": 283, "riscv64": 283}
_MEMBARRIER_CMD_GLOBAL: Final = 1
_FACTS_AT: Final = abi.Live.mac.offset  # behind the half
_LONGER_THAN_A_PACKET_S: Final = 1.0  # by a factor of a million


Facts = NewType("Facts", bytes)
"""Own MACs, cluster MAC, VLAN and ranges of the segment, as they stand in ``abi.Live``."""


@dataclass(frozen=True, slots=True, eq=False)
class _Half:
    """Arrays over the memory of one half."""

    head: npt.NDArray[np.void]
    seeds: npt.NDArray[np.uint64]
    services: npt.NDArray[np.void]
    slots: npt.NDArray[np.uint16]
    owners: npt.NDArray[np.void]

    def fill(self, image: Image) -> None:
        """Write an image; no packet may read this half meanwhile."""
        _write(self.head["secret"][0], np.array(image.secret, dtype=np.uint64))
        _write(self.seeds, image.seeds)
        _write(self.services, image.services)
        _write(self.slots, image.slots)
        _write(self.owners, image.owners)


class Tables:
    """Both halves of a loaded program's tables, mapped into this process.

    ``read`` says that packets may be reading either half already: another
    process may have published and died.
    """

    def __init__(self, maps: Mapping[str, Map], capacity: Capacity, *, read: bool) -> None:
        self.capacity = capacity
        self._live_memory = _mapped(maps["live"])
        self._live = abi.Live.from_buffer(self._live_memory)
        memory = _mapped(maps["halves"])
        layout = layout_of(capacity)
        self._halves = [_half(memory, half * layout.size, layout, capacity) for half in (0, 1)]
        self._addresses: dict[Address, list[int]] = {}
        self._filled: dict[Address, list[int]] = {}  # of the half that is not current
        self._lock = threading.Lock()
        self._readers = _leaving() if read else None

    @property
    def half(self) -> int:
        """The half that packets read now."""
        return int(self._live.half) & 1

    def facts(self) -> Facts:
        """What packets are told beside the tables, to be put back by ``set_facts``."""
        return Facts(bytes(self._live)[_FACTS_AT:])

    def set_facts(self, facts: Facts) -> None:
        """Put back what ``facts`` said; the half that is current stays."""
        ctypes.memmove(ctypes.addressof(self._live) + _FACTS_AT, facts, len(facts))

    def set_own_mac(self, mac: bytes) -> None:
        """Frames to this address are ours; one aligned store."""
        self._live.mac = abi.raw(mac)

    def set_cluster_mac(self, mac: bytes) -> None:
        """Frames to this address reach every member of the cluster; one aligned store."""
        self._live.cluster_mac = abi.raw(mac)

    def set_vlan(self, vlan: int | None) -> None:
        """The ID of the tag that frames carry; one aligned store."""
        self._live.vlan = abi.raw((vlan or 0).to_bytes(2, "big"))

    def set_own_macs(self, own: OwnMacs) -> None:
        """The other addresses of this machine; a packet meanwhile may miss one of them."""
        for place, word in enumerate(own.words):
            self._live.own_macs[place] = word

    @staticmethod
    def refuse_too_many(networks: Collection[IPv4Network | IPv6Network]) -> None:
        """Raises HostError if ``set_on_link`` has no room for these ranges."""
        for version in (4, 6):
            known = sum(network.version == version for network in networks)
            if known > abi.PREFIXES:
                raise HostError(
                    f"the interface has {known} IPv{version} prefixes, the maximum is "
                    f"{abi.PREFIXES}; remove unneeded addresses"
                )

    def set_on_link(self, networks: Collection[IPv4Network | IPv6Network]) -> None:
        """The ranges of the segment; what goes there needs no router."""
        self.refuse_too_many(networks)
        for version, places in ((4, self._live.on_link4), (6, self._live.on_link6)):
            known = [network for network in networks if network.version == version]
            for place, network in zip_longest(places, known):
                # An address under an empty mask is 0, so a value of 1 is never met.
                value, mask = (
                    (network.network_address.packed, network.netmask.packed)
                    if network
                    else (b"\x01", b"\x00")
                )
                split = len(value) - 8 if len(value) == 16 else 0
                place.value_hi, place.value_lo = abi.raw(value[:split]), abi.raw(value[split:])
                place.mask_hi, place.mask_lo = abi.raw(mask[:split]), abi.raw(mask[split:])

    def publish(self, image: Image) -> None:
        """Make an image the current one: fill the other half, then one 64-bit store.

        On return every packet that comes reads the image.  Packets that came
        before may still read the half that was current; ``wait_for_readers``
        waits for them, and so does the next publication before it fills.
        """
        self.fill(image)
        self.flip()

    def fill(self, image: Image) -> None:
        """Write an image to the half that no packet reads."""
        self.wait_for_readers()
        with self._lock:
            self._halves[1 - self.half].fill(image)
            self._filled = _positions(image)

    def flip(self) -> None:
        """Make the other half, which was filled, the current one: one 64-bit store.

        The half before stays as it is until the next ``fill``, so flipping again goes back.
        """
        with self._lock:
            self._live.half = 1 - self.half
            self._addresses, self._filled = self._filled, self._addresses
        self.begin_to_wait()

    def begin_to_wait(self) -> None:
        """Packets of this moment may still use what the next publication would overwrite."""
        self._readers = _leaving()

    def wait_for_readers(self) -> None:
        """Return when no packet reads the half that is not current."""
        if self._readers is not None:
            self._readers.join()
            self._readers = None

    def set_mac(self, address: Address, mac: bytes) -> None:
        """A neighbour has this MAC now: one aligned store for each service it serves."""
        word = np.uint64(abi.raw(mac + bytes([OwnerFlag.RESOLVED, 0])))
        with self._lock:
            owners = self._halves[self.half].owners
            words = owners.view("<u8").reshape(len(owners), -1)
            for position in self._addresses.get(address, ()):
                words[position, 0] = word


def _leaving() -> threading.Thread | None:
    """Begins to wait until the packets of this moment have left: milliseconds, on the side.

    None: they have, since where no thread can be had it waits in place.
    """
    waiting = threading.Thread(target=wait_for_packets_in_flight, daemon=True)
    try:
        waiting.start()
    except RuntimeError:
        wait_for_packets_in_flight()
        return None
    return waiting


def wait_for_packets_in_flight() -> None:
    """Return when every packet that was being handled at the call has left the program.

    XDP programs run under RCU, and membarrier's global form waits for it.
    A kernel whose CPUs run without a tick (nohz_full) refuses it.
    """
    number = _MEMBARRIER.get(os.uname().machine)
    call = ctypes.CDLL(None, use_errno=True).syscall
    if number is None or call(number, _MEMBARRIER_CMD_GLOBAL, 0, 0) != 0:
        time.sleep(_LONGER_THAN_A_PACKET_S)


def _positions(image: Image) -> dict[Address, list[int]]:
    positions: dict[Address, list[int]] = {}
    for position, address in enumerate(image.addresses):
        if address is None:
            continue
        positions.setdefault(address, []).append(position)
    return positions


def _mapped(kernel_map: Map) -> mmap.mmap:
    stride = -(-kernel_map.value_size // 8) * 8
    return mmap.mmap(kernel_map.fd, max(stride * kernel_map.max_entries, 1))


def _write(table: npt.NDArray[Any], content: npt.NDArray[Any]) -> None:
    table[: len(content)] = content


def _half(memory: mmap.mmap, at: int, layout: Layout, capacity: Capacity) -> _Half:
    def table(dtype: np.dtype[Any], table_at: int, count: int) -> npt.NDArray[Any]:
        return np.frombuffer(memory, dtype=dtype, count=count, offset=at + table_at)

    return _Half(
        head=table(abi.TABLES, 0, 1),
        seeds=table(SEED, layout.seeds_at, capacity.buckets),
        services=table(abi.SERVICE, layout.services_at, capacity.services),
        slots=table(SLOT, layout.slots_at, capacity.slots),
        owners=table(abi.OWNER, layout.owners_at, capacity.owners),
    )
