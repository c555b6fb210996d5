"""What a card's driver can do for XDP, and what it does behind a program's back.

Reads and sets offloads through ethtool's ioctl; the sentences are pure.
Source: the XDP set-up of the drivers in Linux 6.1 to 6.18 (virtio_net, igb, vmxnet3, e1000e,
veth), and docs/machines.md for what was run.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pyroute2.ethtool.ioctl import EthtoolError, IoctlEthtool

from remainder.errors import HostError
from remainder.kernel.abi import ORDINARY_MTU

_VLAN_OFFLOADS: Final = ("rx-vlan-hw-parse", "rx-vlan-stag-hw-parse")
_LOST: Final = ("xdp_tx_err", "xdp_tx_drops", "xdp_tx_full")
"""What drivers call frames that a program sent back and the card did not take."""

_TOO_LARGE: Final = dict.fromkeys(
    (errno.EINVAL, errno.ERANGE),
    "XDP at MTU {mtu} (frames must fit into one receive buffer of about 3,000 bytes); use "
    "`ip link set … mtu 1500`, or a driver with multi-buffer XDP",
) | {
    errno.EOPNOTSUPP: (
        "native XDP at MTU {mtu}, and on this kernel perhaps at no MTU; try `ip link set … mtu "
        "1500`, or use a driver with multi-buffer XDP"
    )
}

_VIRTUAL: Final = {
    "vlan": "a VLAN interface has no native XDP, even where its card has it",
    "bond": (
        "a bond has native XDP in the modes balance-rr, active-backup, balance-xor and 802.3ad, if "
        "the drivers of its ports have it"
    ),
    "bridge": "a bridge has no native XDP; use its port, if all packets come through one",
}


@dataclass(frozen=True, slots=True)
class Card:
    """An interface's driver and queues; "" and 0 where it tells neither."""

    driver: str
    queues: int = 0
    most_queues: int = 0


def card(name: str) -> Card:
    """Look at the card behind an interface."""
    link = Path("/sys/class/net") / name / "device" / "driver"
    driver = link.resolve().name if link.is_symlink() else ""
    try:
        with _ethtool(name) as door:
            channels = door.get_channels()
            return Card(driver, channels.combined_count, channels.max_combined)
    except (OSError, EthtoolError):
        return Card(driver)


def why_not_native(number: int, found: Card, mtu: int, *, kind: str | None = None) -> str:
    """Why the driver refused a program in native mode, and the cure.

    ``number`` is the errno, ``kind`` that of a virtual interface.
    """
    if kind in _VIRTUAL and number == errno.EOPNOTSUPP:
        return _VIRTUAL[kind]
    driver = found.driver or "its driver"
    if found.driver == "virtio_net" and number == errno.EOPNOTSUPP:
        return (
            "virtio_net cannot disable its receive offloads; on the host, create the card with "
            "guest_csum=off,guest_tso4=off,guest_tso6=off,guest_ecn=off,guest_ufo=off,"
            "guest_uso4=off,guest_uso6=off"
        )
    if mtu > ORDINARY_MTU and number in _TOO_LARGE:
        return f"{driver} does not support {_TOO_LARGE[number].format(mtu=mtu)}"
    if number == errno.ENOMEM:
        return (
            f"{driver} uses {found.queues} of {found.most_queues} queues, and XDP needs one more "
            f"per CPU; lower it with `ethtool -L … combined N`, or add queues"
        )
    if number == errno.EOPNOTSUPP:
        return f"{driver} has no native XDP on this kernel; one that has it costs a third a packet"
    return f"{driver} says {os.strerror(number).lower()}"


def queue_note(found: Card, cpus: int) -> str | None:
    """What costs speed on a card with too few queues; None if nothing does."""
    if found.driver != "virtio_net" or found.queues + cpus <= found.most_queues:
        return None
    return (
        f"virtio_net uses {found.queues} of {found.most_queues} queues, so {cpus} CPUs share a "
        f"transmit queue, which is slower; give it at least {found.queues + cpus} queues (qemu: "
        f"queues=, mq=on)"
    )


def strips_vlan_tags(name: str) -> tuple[str, ...]:
    """The offloads in use that take VLAN tags off frames before a program sees them."""
    try:
        with _ethtool(name) as door:
            features = door.get_features()
            return tuple(
                offload
                for offload in _VLAN_OFFLOADS
                if offload in features and features.is_active(offload)
            )
    except (OSError, EthtoolError):
        return ()


def switch_offloads(name: str, offloads: tuple[str, ...], *, on: bool) -> None:
    """Switch offloads on or off.  Raises HostError where the driver will not."""
    if not offloads:
        return
    try:
        with _ethtool(name) as door:
            features = door.get_features()
            for offload in offloads:
                features[offload] = on
            door.set_features(features)
    except (OSError, EthtoolError) as error:
        raise HostError(
            f"cannot switch {' and '.join(offloads)} {'on' if on else 'off'} on {name} ({error})"
        ) from None


def lost(name: str) -> int | None:
    """Frames that were sent back natively and that the driver lost; None if it does not count.

    A veth loses all of them while no XDP program runs at its peer.
    """
    try:
        with _ethtool(name) as door:
            counted = [
                value
                for counter, value in door.get_statistics()
                if any(word in counter for word in _LOST)
            ]
    except (OSError, EthtoolError):
        return None
    return sum(counted) if counted else None


@contextmanager
def _ethtool(name: str) -> Iterator[IoctlEthtool]:
    door = IoctlEthtool(name)
    try:
        yield door
    finally:
        door.close()
