"""Whom the kernel is asked to keep resolved, and whose entries are left alone."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any

import pytest
from pyroute2.netlink.exceptions import NetlinkError

from remainder.errors import HostError
from remainder.kernel import neighbours
from remainder.kernel.netlink import OURS


class Route:
    """A kernel on whose interface IPv6 is disabled."""

    def __init__(self) -> None:
        self.kept: list[str] = []

    def neigh(self, command: str, *, dst: str, **more: Any) -> None:
        del more
        assert "replace" == command
        if ":" in dst:
            raise NetlinkError(errno.EINVAL, "Invalid argument")
        self.kept.append(dst)


def test_a_neighbour_that_the_kernel_refuses_does_not_keep_the_others_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    route = Route()

    @contextmanager
    def netlink() -> Iterator[Route]:
        yield route

    monkeypatch.setattr(neighbours, "netlink", netlink)
    asked = [ip_address(text) for text in ("192.0.2.1", "2001:db8::1", "192.0.2.2")]
    with pytest.raises(HostError, match=r"2001:db8::1 .*IPv6 disabled"):
        neighbours.keep_resolved(1, asked)

    assert ["192.0.2.1", "192.0.2.2"] == route.kept


REACHABLE, FAILED, NOARP, PERMANENT = 0x02, 0x20, 0x40, 0x80
EXT_LEARNED, MANAGED, ZEBRA = 0x10, 0x01, 11


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"state": REACHABLE}, False),
        ({"state": PERMANENT}, True),
        ({"state": NOARP}, True),
        ({"state": REACHABLE, "flags": EXT_LEARNED, "protocol": ZEBRA}, True),
        ({"state": FAILED, "flags": EXT_LEARNED, "protocol": ZEBRA}, False),
        (
            {
                "state": REACHABLE,
                "flags": EXT_LEARNED,
                "flags_ext": MANAGED,
                "protocol": OURS,
            },
            False,
        ),
    ],
    ids=["learned", "permanent", "noarp", "of EVPN", "lost by EVPN", "ours"],
)
def test_whose_entry_a_neighbour_is(facts: dict[str, Any], expected: bool) -> None:  # noqa: FBT001
    message = {"family": 2, "dst": "192.0.2.1", "lladdr": "02:00:00:00:00:01", "flags": 0}
    found = neighbours.neighbour_of({**message, **facts})

    assert found is not None
    assert expected is found.permanent
    assert ("protocol" in facts and facts["protocol"] == OURS) is found.ours
