"""Attach an XDP program to an interface: native first, generic with a warning.

Rule: never push another program out.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

from remainder.errors import HostError
from remainder.kernel import libbpf
from remainder.kernel.card import card, queue_note, why_not_native
from remainder.kernel.netlink import Interface
from remainder.messages import Warn

_TAKEN = (errno.EBUSY, errno.EEXIST)


def attach(program_fd: int, interface: Interface, mode: str, warn: Warn) -> tuple[int, str]:
    """(link, mode): native first, generic with a warning that says what it costs."""
    if mode == "auto" and interface.kind == "veth":
        warn(
            f"{interface.name} is a veth, so generic mode is used: native mode requires an XDP "
            f"program on its peer, with `tx` checksum offload off, or forwarded packets are lost; "
            f"override with --mode native",
            id="generic-mode",
        )
        mode = "generic"
    if mode in ("auto", "native"):
        try:
            link_fd = libbpf.attach(program_fd, interface.index, "native")
        except HostError as error:
            number = libbpf.errno_of(error)
            if number in _TAKEN:
                raise foreign_program(interface) from None
            reason = why_not_native(
                number, card(interface.name), interface.mtu, kind=interface.kind
            )
            if mode == "native":
                raise HostError(
                    f"{interface.name} cannot run XDP in native mode: {reason}; or use --mode "
                    f"generic",
                    id="native-xdp-refused",
                ) from None
            warn(
                f"{interface.name} runs in generic mode, which costs about three times as much per "
                f"packet: {reason}",
                id="generic-mode",
            )
        else:
            for note in _notes_on_native(interface):
                warn(note)
            return link_fd, "native"
    try:
        return libbpf.attach(program_fd, interface.index, "generic"), "generic"
    except HostError as error:
        if libbpf.errno_of(error) in _TAKEN:
            raise foreign_program(interface) from None
        raise


def _notes_on_native(interface: Interface) -> Iterator[str]:
    if interface.kind == "veth":
        yield (
            f"{interface.name} is a veth in native mode: unless its peer runs an XDP program, with "
            f"`tx` checksum offload off, all forwarded packets are lost"
        )
    slow = queue_note(card(interface.name), os.cpu_count() or 1)
    if slow is not None:
        yield f"{interface.name}: {slow}"


def foreign_program(interface: Interface) -> HostError:
    """The sentence for an interface that runs somebody else's program."""
    number = interface.xdp_program
    return HostError(
        f"{interface.name} already runs another XDP program"
        f"{f' (id {number}, see `bpftool prog show id {number}`)' if number else ''}; find its "
        f"owner with `bpftool link` or `ip link show {interface.name}`, and detach it first",
        id="xdp-in-use",
    )
