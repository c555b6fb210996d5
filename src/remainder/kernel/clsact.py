"""A filter of the qdisc clsact: how a program comes before or behind the stack before Linux 6.6.

No link holds such a filter, so there is nothing to pin: what stands at our
handle is asked of the kernel, which keeps the program for as long as the
filter is there.  "Direct action" makes -1 of the program mean "the next
filter, please", and where there is none the packet goes on; 2 drops it: as tcx.

Law: nothing is taken that was not given, neither another's filter nor a qdisc.
"""

from __future__ import annotations

import ctypes
import errno
from typing import Any, Final

from remainder.errors import HostError, Unsupported
from remainder.kernel import libbpf, netlink
from remainder.kernel.bpf_structs import TcHook, TcOpts

PRIORITY: Final = 50_000
"""Behind the filters whose priority the kernel chooses, from 49,152 downward; tcx appends, too."""
HANDLE: Final = 0x72_6D_64_72
"""``rmdr``: nobody has it by chance."""

_POINTS: Final = {"ingress": 1, "egress": 2}  # enum bpf_tc_attach_point
_PARENTS: Final = {"ingress": 0xFFFF_FFF2, "egress": 0xFFFF_FFF3}
_QDISC_PARENT: Final = 0xFFFF_FFF1  # of ingress as of clsact: an interface has one of them
_REPLACE: Final = 1 << 0
_NOTHING_THERE: Final = (errno.ENOENT, errno.EINVAL, errno.ENODEV)
"""No such filter, no such qdisc, no such interface."""


def add_qdisc(ifindex: int) -> bool:
    """See that an interface has the qdisc clsact; False if it was there before."""
    hook = _hook(ifindex, "ingress")
    try:
        _call("bpf_tc_hook_create", hook)
    except HostError as error:
        if libbpf.errno_of(error) == errno.ENOENT:
            raise Unsupported(
                "this kernel has neither tcx (Linux 6.6) nor the qdisc clsact; load its modules "
                "sch_ingress and cls_bpf, or take a kernel that has them"
            ) from None
        if libbpf.errno_of(error) != errno.EEXIST:
            raise
    else:
        return True
    if _kind_of_qdisc(ifindex) != "clsact":  # "ingress" would take a filter for egress, and lie
        raise HostError(
            "the interface has a qdisc 'ingress' where clsact belongs, which can do what that one "
            "does and more; let its owner use clsact instead"
        )
    return False


def remove_empty_qdisc(ifindex: int) -> None:
    """Remove a clsact that we made, unless somebody has a filter there by now."""
    with netlink.netlink() as route:
        if any(route.get_filters(index=ifindex, parent=parent) for parent in _PARENTS.values()):
            return
    hook = _hook(ifindex, "ingress")
    hook.attach_point = _POINTS["ingress"] | _POINTS["egress"]  # both together are the qdisc
    _call("bpf_tc_hook_destroy", hook)


def attach(program_fd: int, ifindex: int, direction: str) -> None:
    """Add our filter.  Raises HostError if one stands at its place."""
    try:
        _set(program_fd, ifindex, direction, 0)
    except HostError as error:
        if libbpf.errno_of(error) != errno.EEXIST:
            raise
        raise HostError(
            f"another Remainder node has its {direction} filter there (priority {PRIORITY}, "
            f"program {program_at(ifindex, direction)}); `remainder detach --node NODE` removes "
            f"what `remainder status` names, `tc filter` what it does not"
        ) from None


def replace(program_fd: int, ifindex: int, direction: str) -> None:
    """Let our filter run another program; no packet falls between the two."""
    _set(program_fd, ifindex, direction, _REPLACE)


def program_at(ifindex: int, direction: str) -> int | None:
    """The kernel's number of the program that our filter runs; None if there is no filter."""
    opts = _opts()
    try:
        _call("bpf_tc_query", _hook(ifindex, direction), opts)
    except HostError as error:
        if libbpf.errno_of(error) in _NOTHING_THERE:
            return None
        raise
    return int(opts.prog_id)


def detach(ifindex: int, direction: str) -> None:
    """Remove our filter."""
    _call("bpf_tc_detach", _hook(ifindex, direction), _opts())


def _set(program_fd: int, ifindex: int, direction: str, flags: int) -> None:
    opts = _opts()
    opts.prog_fd, opts.flags = program_fd, flags
    _call("bpf_tc_attach", _hook(ifindex, direction), opts)


def _hook(ifindex: int, direction: str) -> TcHook:
    return TcHook(sz=ctypes.sizeof(TcHook), ifindex=ifindex, attach_point=_POINTS[direction])


def _opts() -> TcOpts:
    return TcOpts(sz=ctypes.sizeof(TcOpts), handle=HANDLE, priority=PRIORITY)


def _call(name: str, *structures: Any) -> None:
    function = getattr(libbpf.library(), name)
    libbpf.check(function(*map(ctypes.byref, structures)), _DOING[name])


_DOING: Final = {
    "bpf_tc_hook_create": "adding the qdisc clsact",
    "bpf_tc_hook_destroy": "removing the qdisc clsact",
    "bpf_tc_attach": "attaching through clsact",
    "bpf_tc_query": "reading a filter of clsact",
    "bpf_tc_detach": "removing a filter of clsact",
}


def _kind_of_qdisc(ifindex: int) -> str | None:
    with netlink.netlink() as route:
        return next(
            (
                found.get("kind")
                for found in route.get_qdiscs(index=ifindex)
                if found["parent"] == _QDISC_PARENT and found["index"] == ifindex
            ),
            None,
        )
