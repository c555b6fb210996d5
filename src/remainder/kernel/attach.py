"""Attach an XDP program to an interface: native first, generic with a warning.

Rule: never push another program out.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator

from remainder.errors import HostError
from remainder.kernel import libbpf
from remainder.kernel.card import card, queue_note, why_not_native
from remainder.kernel.netlink import Interface

_TAKEN = (errno.EBUSY, errno.EEXIST)


def attach(
    program_fd: int, interface: Interface, mode: str, warn: Callable[[str], None]
) -> tuple[int, str]:
    """(link, mode): native first, generic with a warning that says what it costs."""
    if mode == "auto" and interface.kind == "veth":
        warn(
            f"{interface.name} is a veth, so it runs in generic mode: native mode needs an XDP "
            f"program and `tx` checksum offload off at its peer, or what is sent back vanishes; "
            f"--mode native asks for it"
        )
        mode = "generic"
    if mode in ("auto", "native"):
        try:
            link_fd = libbpf.attach(program_fd, interface.index, "native")
        except HostError as error:
            number = libbpf.errno_of(error)
            if number in _TAKEN:
                raise foreign_program(interface) from None
            reason = why_not_native(number, card(interface.name), interface.mtu)
            if mode == "native":
                raise HostError(
                    f"{interface.name} cannot run XDP in native mode: {reason}; or run it with "
                    f"--mode generic"
                ) from None
            warn(
                f"{interface.name} runs in generic mode, which costs about three times as much per "
                f"packet: {reason}"
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
            f"{interface.name} is a veth in native mode: unless an XDP program runs at its peer, "
            f"with `tx` checksum offload off, all that is forwarded is lost"
        )
    slow = queue_note(card(interface.name), os.cpu_count() or 1)
    if slow is not None:
        yield f"{interface.name}: {slow}"


def foreign_program(interface: Interface) -> HostError:
    """The sentence for an interface that runs somebody else's program."""
    number = interface.xdp_program
    return HostError(
        f"{interface.name} runs another XDP program already"
        f"{f' (id {number}, `bpftool prog show id {number}`)' if number else ''}; "
        f"`bpftool link` and `ip link show "
        f"{interface.name}` tell who attached it; stop that one first"
    )
