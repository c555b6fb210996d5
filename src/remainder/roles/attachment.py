"""Attach to an interface: native first, generic with a warning; never push another out."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

from remainder.errors import HostError
from remainder.kernel import hook, libbpf
from remainder.kernel.hook import Hook
from remainder.kernel.netlink import Interface


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
            if libbpf.errno_of(error) in (errno.EBUSY, errno.EEXIST):
                raise foreign_program(interface) from None
            if mode == "native":
                raise HostError(
                    f"{interface.name} cannot run XDP natively ({error}, MTU {interface.mtu}); "
                    f"use --mode generic, or a driver with XDP"
                ) from None
            warn(
                f"{interface.name} cannot run XDP natively ({error}, MTU {interface.mtu}): running "
                f"in generic mode, which costs about three times as much per packet"
            )
        else:
            return link_fd, "native"
    try:
        return libbpf.attach(program_fd, interface.index, "generic"), "generic"
    except HostError as error:
        if libbpf.errno_of(error) in (errno.EBUSY, errno.EEXIST):
            raise foreign_program(interface) from None
        raise


def attach_for_good(
    program_fd: int, interface: Interface, mode: str, warn: Callable[[str], None], path: Path
) -> tuple[Hook, str]:
    """The same, with the link pinned at a path."""
    link_fd, mode = attach(program_fd, interface, mode, warn)
    return hook.link(link_fd, path), mode


def refuse_foreign_program(interface: Interface) -> None:
    """Raises HostError if the interface runs somebody else's XDP program."""
    if interface.xdp_program is not None:
        raise foreign_program(interface)


def foreign_program(interface: Interface) -> HostError:
    """The sentence for an interface that runs somebody else's program."""
    number = interface.xdp_program
    return HostError(
        f"{interface.name} runs another XDP program already"
        f"{f' (id {number}, `bpftool prog show id {number}`)' if number else ''}; "
        f"`bpftool link` and `ip link show "
        f"{interface.name}` tell who attached it; stop that one first"
    )
